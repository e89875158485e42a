"""The processes of runs, forked from the fork server.

Each run is a process of its own, as with Dagster's own code server, which starts an interpreter for
each. A run that cannot be forked still starts in that way. What is imported before the fork belongs
in ``fork_server``, which process executes which run in ``main``.

Beside what ``multiprocessing`` does here: no start waits without an end, a run outlives the fork
server, and a run that ends calls the functions of ``atexit``, which send the last log lines.
"""

import atexit
import io
import os
import signal
import time
from contextlib import suppress
from multiprocessing import active_children, context, forkserver, reduction, spawn, util
from multiprocessing.connection import wait
from multiprocessing.popen_fork import Popen
from multiprocessing.popen_forkserver import Popen as ForkServerPopen
from multiprocessing.popen_spawn_posix import Popen as SpawnPopen
from multiprocessing.process import BaseProcess
from typing import ClassVar

import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.observability.logging import get_logger

START_SECONDS = 30.0
"""How long a start waits for the fork server, which may have to import everything again."""
LOST = 255
"""The exit code of ``multiprocessing`` for a process whose fork server died before it."""
_INTERVAL_SECONDS = 0.2

log = get_logger(__name__)


class ForkServerStuck(Exception):
    """The fork server did not start a process in time."""


class ForkedRun(ForkServerPopen):
    """A process that was forked from the fork server, seen from the process that asked for it."""

    _fds: list[int]
    _process: psutil.Process

    def _launch(self, run: BaseProcess) -> None:
        """Start the process. It gets its work last: if this fails, it has none and ends.

        Raises:
            ForkServerStuck: If the fork server does not respond in time.
            OSError: If it cannot be reached, or it or the process died.
            EOFError: The same.
        """
        work = self._pickled(run)
        self.sentinel, writer = forkserver.connect_to_new_process(self._fds)
        # The run knows by the open end that this process is alive.
        ends = (os.dup(writer), self.sentinel)
        self.finalizer = util.Finalize(self, _close, ends)
        with os.fdopen(writer, "wb") as pipe:
            if not wait([self.sentinel], START_SECONDS):
                raise ForkServerStuck(f"no process within {START_SECONDS:g} s")
            self.pid = forkserver.read_signed(self.sentinel)
            self._process = psutil.Process(self.pid)
            pipe.write(work)

    def _pickled(self, run: BaseProcess) -> bytes:
        data = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(spawn.get_preparation_data(run.name), data)
            reduction.dump(run, data)
        finally:
            context.set_spawning_popen(None)
        return data.getvalue()

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code; None while the process runs, with or without a fork server."""
        code = super().poll(flag)
        while code == LOST and self._runs():
            self.returncode = None
            if flag == os.WNOHANG:
                return None
            time.sleep(_INTERVAL_SECONDS)
            code = super().poll(flag)
        return code

    def _runs(self) -> bool:
        try:
            # Its number may be another process's by now. Containers often have no init process
            # that reaps zombies.
            return bool(
                self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False


def _close(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)


class RunProcess(BaseProcess):
    """The process of a run."""

    _start_method: ClassVar[str] = "spawn"
    """What a run's own processes are started with, as in Dagster's own code server."""

    @staticmethod
    def _Popen(run: BaseProcess) -> Popen:  # noqa: N802 - the name that `multiprocessing` calls
        try:
            return ForkedRun(run)
        except Exception as error:  # noqa: BLE001 - the run must start
            log.warning("run_not_forked", reason=f"{type(error).__name__}: {error}")
            return SpawnPopen(run)

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        try:
            return int(super()._bootstrap(parent_sentinel))  # type: ignore[misc]  # not in the stubs
        finally:
            # Before Python 3.14, `multiprocessing` ends forked processes without.
            atexit._run_exitfuncs()  # noqa: SLF001 - it has no public name


class RunContext(context.ForkServerContext):
    """What Dagster's code server needs of ``multiprocessing``, with the processes of runs."""

    Process = RunProcess  # type: ignore[assignment]  # another class of processes


def end_runs(seconds: float) -> None:
    """Interrupt the runs that this process started, and wait until they have ended.

    A run that is interrupted ends its transaction, closes its browser and records why it ended. The
    next sync does what it left.

    Args:
        seconds: The longest wait for all of them.
    """
    runs = active_children()
    for run in runs:
        with suppress(ProcessLookupError):
            if run.pid is not None:
                os.kill(run.pid, signal.SIGINT)
    deadline = time.monotonic() + seconds
    for run in runs:
        run.join(max(0.0, deadline - time.monotonic()))
