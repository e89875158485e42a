"""A server process of ``pims up``: started with a log file, watched, and stopped for good.

What is started, with which arguments, stands in ``up``.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.streams import say
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
"""How a process and its descendants are asked to end, and how long each asking is given."""


class Service:
    """A child process, with all that it starts. A context manager: leaving it ends them all.

    It gets a session of its own, so that the terminal's Ctrl-C does not reach it: the order
    of stopping is this program's.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        make_private(self.log.parent)
        with self.log.open("wb") as log:
            # One of an earlier start may be open to others.
            self.log.chmod(_LOG_MODE)
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own arguments
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            Refused: If it ended; quotes the end of its log.
        """
        if self._process is None or self._process.poll() is None:
            return
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        for line in lines:
            say(line, err=True)
        raise Refused(
            f"{self.name} ended by itself (status {self._process.returncode}); the end of its "
            f"log stands above, all of it in {self.log}"
        )

    def wait_for(self, url: str, services: Sequence["Service"]) -> None:
        """Wait until ``url`` answers, and none of ``services`` has ended.

        Raises:
            Refused: If one ended, or nothing answers in time.
        """

        def answers() -> bool:
            try:
                return client.get(url).is_success
            except httpx2.TransportError:
                return False

        # Proxies of the environment do not concern a server on this machine.
        with httpx2.Client(timeout=5, trust_env=False) as client:
            self.wait_until(answers, url, services)

    def wait_until(
        self, answers: Callable[[], bool], where: str, services: Sequence["Service"]
    ) -> None:
        """Wait until it answers, and none of ``services`` has ended.

        Args:
            answers: Whether it does.
            where: For the message.
            services: Those that must go on meanwhile.

        Raises:
            Refused: If one ended, or it does not answer in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            for service in services:
                service.check()
            if answers():
                return
            time.sleep(_INTERVAL_SECONDS)
        raise Refused(f"{self.name} does not answer at {where}; its log is {self.log}")

    def stop(self) -> None:
        """End the process and everything it started; returns once they are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        family = _family(process.pid)
        for number, seconds in _STOPPING:
            for member in family:
                _signal(member, number)
            _, alive = psutil.wait_procs(family, timeout=seconds)
            # What was started in the meantime belongs to them too.
            family = {*alive, *_family(process.pid)}
            if not family:
                break
        # One that the system cannot end has been sent all there is.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOPPING[-1][1])


def _family(leader: int) -> set[psutil.Process]:
    """The living of a session: descendants of its leader, and orphans that it left behind."""
    found = {each for each in psutil.process_iter() if _session(each.pid) == leader}
    for member in list(found):
        with suppress(psutil.NoSuchProcess):
            # A browser's processes have sessions of their own.
            found.update(member.children(recursive=True))
    return {each for each in found if _lives(each)}


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        # Containers often have nobody to bury the dead.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        # By handle: a number that another process has by now is not signalled.
        process.send_signal(number)


def watch(services: Sequence[Service]) -> None:
    """Return never, as long as all of them run.

    Raises:
        Refused: As soon as one has ended.
    """
    while True:
        for service in services:
            service.check()
        time.sleep(_INTERVAL_SECONDS)
