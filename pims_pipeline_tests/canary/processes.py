"""The command lines of the processes that a test starts, directly or through others."""

from contextlib import suppress
from threading import Condition, Thread

import psutil  # type: ignore[import-untyped]  # it carries no types

_SECONDS_BETWEEN = 0.1


class ProcessWatch(Thread):
    """Scans the descendants of this process again and again.

    Attributes:
        seen: Their command lines so far.
    """

    def __init__(self) -> None:
        super().__init__(name="process-watch")
        self.seen: set[str] = set()
        self._scans = 0
        self._changed = Condition()
        self._is_over = False

    def run(self) -> None:
        this = psutil.Process()
        while not self._is_over:
            for each in this.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    self.seen.add(" ".join(each.cmdline()))
            with self._changed:
                self._scans += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_over, _SECONDS_BETWEEN)

    def wait_for_scan(self) -> None:
        """Return when every process that runs now has been scanned."""
        with self._changed:
            # The scan in progress may have begun before the caller's process.
            wanted = self._scans + 2
            assert self._changed.wait_for(lambda: self._scans >= wanted, timeout=60)

    def end(self) -> None:
        """Stop scanning."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self.join()
