"""A program run to its end, with its wall and CPU time; and a tree of live processes.

The CPU of a database server that the program uses is not in it: see ``postgres``.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil  # type: ignore[import-untyped]  # it carries no types


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that succeeded.

    Attributes:
        cpu_seconds: Of the program and of its children that it waited for.
        output: What it wrote to standard output.
    """

    seconds: float
    cpu_seconds: float
    output: str


class ProgramFailed(Exception):
    """The program's exit status was not 0; the message has the end of its errors."""


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    typed: str = "",
) -> Finished:
    """Run a program with nothing but this environment, and ``typed`` as its standard input.

    Raises:
        ProgramFailed: If it fails.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(typed)
            process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            words = " ".join(Path(word).name for word in command)
            raise ProgramFailed(f"{words}: {process.returncode}\n{errors.read()[-3000:]}")
        return Finished(
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            output=output.read(),
        )


def tree_cpu_seconds(root: psutil.Process) -> float:
    """CPU time of a process, of the processes below it, and of those that they waited for."""
    seconds = 0.0
    for each in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds
