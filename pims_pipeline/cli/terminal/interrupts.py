"""Ctrl-C, SIGTERM and SIGHUP in commands: each stops everything that the command started.

Use these in the main thread only.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the block for each of the three signals."""
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        # Keep what the parent chose: a shell's background job ignores Ctrl-C, nohup SIGHUP.
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay interrupts to the end of the block, which starts something that must be stopped whole.

    Raises:
        KeyboardInterrupt: At the end, if there was one; it replaces an error of the block.
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
    """Ignore all three after the block, until the end of ``interruptible``.

    A second interrupt must not end the cleanup and leave processes running.
    """
    try:
        yield
    finally:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)
