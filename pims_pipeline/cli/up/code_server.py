"""Keeps the code server of ``pims up`` running: restarts it when it ends, hangs, or is outdated.

The Dagster UI and the daemon notice another server at its socket by themselves. Runs that it
started go on.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.cli.up.services import Service

MOST_RESTARTS = 3
"""How often it is restarted within ``RESTARTS_SECONDS``, unless its program changed."""
RESTARTS_SECONDS = 600.0
SILENT_SECONDS = 90.0
"""How long a check may have no response; one is made every ten seconds."""
CHANGE_SECONDS = 10.0
"""How often the program's files are compared, and how long they must rest after a change."""

_PACKAGE = Path(__file__).parents[2]

Fingerprint = frozenset[tuple[str, int, int]]


def installation(package: Path = _PACKAGE) -> Fingerprint:
    """The program's files: paths, times of their last change, sizes."""
    return frozenset(_files(str(package)))


def _files(directory: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:  # an installer is replacing it
        return found
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                found += _files(entry.path)
            continue
        with suppress(FileNotFoundError):  # as above
            state = entry.stat(follow_symlinks=False)
            found.append((entry.path, state.st_mtime_ns, state.st_size))
    return found


class CodeServerKeeper:
    """Decides in each round of ``watch`` whether the code server must be restarted."""

    def __init__(
        self,
        service: Service,
        asked: Path,
        seen: Path,
        *,
        fingerprint: Callable[[], Fingerprint] = installation,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over a code server that has responded.

        Args:
            service: Its process.
            asked: The file that is touched whenever it is checked.
            seen: The file that is touched whenever it responds.
            fingerprint: Returns the state of the program's files.
            clock: Seconds that do not jump, and do not pass while the machine sleeps.
        """
        self._service = service
        self._asked = _Touched(asked)
        self._seen = _Touched(seen)
        self._fingerprint = fingerprint
        self._clock = clock
        self._restarts: list[float] = []
        self._loaded = self._found = fingerprint()
        self._silent_since: float | None = None
        self._compared = clock()

    def check(self) -> None:
        """Restart it if needed.

        Raises:
            Refused: If it was restarted too often.
        """
        name, status = self._service.name, self._service.end_status
        if status is not None:
            self._restart_or_fail(f"{name} ended by itself (status {status})")
        elif self._is_silent():
            self._restart_or_fail(f"{name} has not responded for {SILENT_SECONDS:g} s")
        elif self._is_outdated():
            say(
                f"The files of pims_pipeline have changed; restarting {name} to load them. "
                "After an upgrade, restart pims up.",
                err=True,
            )
            self._restart()

    def _is_silent(self) -> bool:
        # A process that does not ask, because it hangs itself, proves nothing.
        if self._asked.is_touched() and self._silent_since is None:
            self._silent_since = self._clock()
        if self._seen.is_touched():
            self._silent_since = None
        since = self._silent_since
        return since is not None and self._clock() - since > SILENT_SECONDS

    def _is_outdated(self) -> bool:
        """Whether the files have changed since it was started, and no longer change."""
        if self._clock() - self._compared < CHANGE_SECONDS:
            return False
        self._compared = self._clock()
        before, self._found = self._found, self._fingerprint()
        return self._found == before != self._loaded

    def _restart_or_fail(self, problem: str) -> None:
        now = self._clock()
        self._restarts = [each for each in self._restarts if now - each < RESTARTS_SECONDS]
        if len(self._restarts) >= MOST_RESTARTS:
            self._service.fail(f"{problem}, after {MOST_RESTARTS} restarts")
        self._restarts.append(now)
        say(f"{problem}; restarting it. Its log is {self._service.log}", err=True)
        self._restart()

    def _restart(self) -> None:
        self._loaded = self._found = self._fingerprint()
        self._service.restart()
        self._silent_since = None
        self._compared = self._clock()


class _Touched:
    """A file of which it is to be known whether it was touched since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = path.stat().st_mtime_ns

    def is_touched(self) -> bool:
        last, self._last = self._last, self._path.stat().st_mtime_ns
        return last != self._last
