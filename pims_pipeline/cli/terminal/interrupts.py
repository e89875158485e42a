"""How commands take Ctrl-C, SIGTERM and a terminal that closes: all they started is stopped.

All three mean the same to them. For a process's main thread only.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, each of the three raises ``KeyboardInterrupt``."""
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        # A shell makes its background jobs ignore Ctrl-C, and nohup SIGHUP; that stands.
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, interrupts wait for the block's end: what is half started cannot be stopped.

    Raises:
        KeyboardInterrupt: At the end, if there was one; also in place of what went wrong.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        came.append(number)

    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


@contextmanager
def undisturbed_end() -> Iterator[None]:
    """After the block, all three are ignored until the end of ``interruptible``.

    An impatient second one must not leave half of what was started running.
    """
    try:
        yield
    finally:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)
