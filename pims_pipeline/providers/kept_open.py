"""What adapters keep open between two uses, such as a browser, and how a run closes it.

An adapter registers a function when it is imported. It must close by itself too, after a while and
when the process ends: only runs call ``close_idle``.
"""

from collections.abc import Callable

_closers: list[Callable[[], None]] = []


def close_when_idle(close: Callable[[], None]) -> None:
    """Call ``close`` at the end of each run; it must return at once and disturb no use."""
    _closers.append(close)


def close_idle() -> None:
    """Close what no one uses; what is in use closes after that."""
    for close in _closers:
        close()
