"""``pims`` as a real process in its own home directory, and the processes that it leaves."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.settings import variable_names

TIMEOUT_SECONDS = 120


@contextmanager
def own_home() -> Iterator[Path]:
    """A home directory that the embedded database's user can reach."""
    # Not under pytest's own directory, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="pims-cli-") as directory:
        yield Path(directory) / "home"


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment with only these of our variables."""
    ours = {*variable_names().values(), "HOST", "PORT"}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return {**inherited, "PIMS_HOME": str(home), "PIMS_REQUESTS_PER_SECOND": "1000", **more}


@contextmanager
def started(home: Path, *words: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """The running command; killed with all its descendants if the test does not end it."""
    process = subprocess.Popen(  # noqa: S603 - this interpreter, the tests' own arguments
        [sys.executable, "-c", "from pims_pipeline.cli.main import main; main()", *words],
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            left = descendants(process)
            process.kill()
            for each in left:
                if each.is_running():
                    each.kill()
        process.communicate()


def descendants(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The running descendants of the process."""
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def command_line(process: psutil.Process) -> list[str]:
    """Its arguments; none once it has ended."""
    try:
        words: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return words


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until the condition holds, while the process runs."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.05)


def interrupted(
    process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGINT
) -> tuple[int, str, str, list[psutil.Process]]:
    """End it with a signal; returns status, output, errors, and the descendants that still run."""
    family = descendants(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, out, err, [each for each in family if is_alive(each)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs and is not a zombie."""
    try:
        # Containers often have no init process that reaps zombies.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def output_until(process: "subprocess.Popen[str]", end: str) -> str:
    """Its output, up to the line that contains ``end``."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if end in line:
            return output
    raise AssertionError(f"it ended without {end!r}: {process.communicate()}")


def database_runs(home: Path) -> bool:
    """Whether the embedded server of that home is running."""
    return (home / "postgres" / "postmaster.pid").exists()
