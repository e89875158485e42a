"""A server process of ``pims up``: started with a log file, watched, and stopped with its children.

The choice of processes and their arguments belongs in ``command``.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.cli.up.lifeline import lifeline, on_lifeline
from pims_pipeline.local_trust.private_files import PRIVATE_UMASK, make_private

_START_SECONDS = 120
_INTERVAL_SECONDS = 0.3
_TAIL_LINES = 15
_LOG_MODE = 0o600
_STOPPING: Sequence[tuple[signal.Signals, float]] = (
    (signal.SIGINT, 10),
    (signal.SIGTERM, 5),
    (signal.SIGKILL, 5),
)
"""The signals that end a process and its descendants, and the seconds to wait after each."""
_RESTARTING: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5), (signal.SIGKILL, 5))
"""The same for a process that is started again."""


class Service:
    """A child process and its descendants, as a context manager that ends all of them.

    It runs in its own session, so that the terminal's Ctrl-C does not reach it: this program
    decides the order of stopping.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._left: set[psutil.Process] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start the process, with an empty log."""
        make_private(self.log.parent)
        self.log.write_bytes(b"")
        # A file of an earlier start may be readable by other users.
        self.log.chmod(_LOG_MODE)
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as log, lifeline() as descriptor:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own arguments
                on_lifeline(descriptor, self._command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
                pass_fds=(descriptor,),
            )

    def restart(self) -> None:
        """End the process, and start it again; processes that it started go on."""
        process = self._process
        if process is not None:
            self._left |= {each for each in _family(process.pid) if each.pid != process.pid}
            _end(process)
        self._start()

    @property
    def end_status(self) -> int | None:
        """The exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Check that it still runs.

        Raises:
            Refused: If it ended; the end of its log is printed first.
        """
        if (status := self.end_status) is not None:
            self.fail(f"{self.name} ended by itself (status {status})")

    def fail(self, problem: str) -> NoReturn:
        """Print the end of its log.

        Raises:
            Refused: With the problem.
        """
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        for line in lines:
            say(line, err=True)
        raise Refused(f"{problem}; the end of its log is above, all of it in {self.log}")

    def wait_for(self, url: str, services: Sequence["Service"]) -> None:
        """Wait until ``url`` responds with success.

        Raises:
            Refused: If one of ``services`` ended, or there is no response in time.
        """

        def responds() -> bool:
            try:
                return client.get(url).is_success
            except httpx2.TransportError:
                return False

        # Without trust_env: a server on this machine needs no proxy.
        with httpx2.Client(timeout=5, trust_env=False) as client:
            self.wait_until(responds, url, services)

    def wait_until(
        self, responds: Callable[[], bool], where: str, services: Sequence["Service"]
    ) -> None:
        """Wait until it responds.

        Args:
            responds: Returns whether it does.
            where: Its address, for the error message.
            services: The services that must keep running.

        Raises:
            Refused: If one of ``services`` ended, or there is no response in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            for service in services:
                service.check()
            if responds():
                return
            time.sleep(_INTERVAL_SECONDS)
        raise Refused(
            f"{self.name} did not respond at {where} within {_START_SECONDS} s; "
            f"its log is {self.log}"
        )

    def stop(self) -> None:
        """End the process and everything that it started, and wait until they are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        family = _family(process.pid) | _with_descendants(self._left)
        for number, seconds in _STOPPING:
            for member in family:
                _signal(member, number)
            _, alive = psutil.wait_procs(family, timeout=seconds)
            # Processes may have been started during the wait.
            family = {*alive, *_family(process.pid), *_with_descendants(self._left)}
            if not family:
                break
        # A process that survives SIGKILL cannot be ended.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOPPING[-1][1])


def _family(leader: int) -> set[psutil.Process]:
    """The running processes of a session: descendants of its leader, and orphans."""
    return _with_descendants(
        {each for each in psutil.process_iter() if _session(each.pid) == leader}
    )


def _with_descendants(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    """Those that run, and their running descendants."""
    found = set(processes)
    for member in list(found):
        with suppress(psutil.NoSuchProcess):
            # A browser's processes have their own sessions.
            found.update(member.children(recursive=True))
    return {each for each in found if _runs(each)}


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        # Its number may be another process's by now. Containers often have no init process that
        # reaps zombies.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        # psutil does not signal another process that got the same pid.
        process.send_signal(number)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End one process, without its children."""
    for number, seconds in _RESTARTING:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def watch(checks: Sequence[Callable[[], None]]) -> None:
    """Make these checks again and again, until one fails.

    Raises:
        Refused: When one fails.
    """
    while True:
        for check in checks:
            check()
        time.sleep(_INTERVAL_SECONDS)
