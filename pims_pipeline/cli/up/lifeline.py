"""Ends the processes of ``pims up`` when ``pims up`` itself was killed.

Each holds the reading end of a pipe whose writing end only ``pims up`` has. The system closes that
when ``pims up`` ends, however it ends. ``main`` runs in the process: it watches the pipe in a
thread, and then runs the program.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pims_pipeline.orchestration.code_server.waiting_threads import LIFELINE_THREAD

_PROGRAM = "from pims_pipeline.cli.up.lifeline import main; main()"
_ENDING: Sequence[tuple[signal.Signals, float]] = (
    (signal.SIGINT, 10),
    (signal.SIGTERM, 5),
    (signal.SIGKILL, 0),
)
"""The signals to the process and what it started, and the seconds to wait after each."""

_writers: list[int] = []
"""The writing ends, open as long as this process runs."""


@contextmanager
def lifeline() -> Iterator[int]:
    """A pipe to one process, around its start; yields the end that the process gets."""
    descriptor, writer = os.pipe()
    _writers.append(writer)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def on_lifeline(descriptor: int, command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` (Python with ``-c`` or ``-m``) on the lifeline."""
    interpreter, *words = command
    return [interpreter, "-c", _PROGRAM, str(descriptor), *words]


def main() -> None:
    """Watch the pipe, and run the program that the arguments name."""
    # Shells start background commands with SIGINT ignored, but it is what ends this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, descriptor, kind, program, *arguments = sys.argv
    os.set_inheritable(int(descriptor), False)  # noqa: FBT003 - its only form
    watching = threading.Thread(
        target=_end_with_parent, args=(int(descriptor),), name=LIFELINE_THREAD, daemon=True
    )
    watching.start()
    sys.argv = [kind, *arguments]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - ours


def _end_with_parent(descriptor: int) -> None:
    """End this session's processes once the pipe is closed."""
    while os.read(descriptor, 1):
        pass
    for number, seconds in _ENDING:
        os.killpg(0, number)
        time.sleep(seconds)
