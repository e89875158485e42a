"""SIGTERM taken for Ctrl-C, so that a command that was told to end cleans up in the same way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Within, SIGTERM raises ``KeyboardInterrupt``. Only for a process's main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
