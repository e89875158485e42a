"""``pims`` as a real process, in a home of its own; and what it leaves behind."""

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
    """This process's, with none of our variables but these."""
    ours = set(variable_names().values())
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return {**inherited, "PIMS_HOME": str(home), "PIMS_REQUESTS_PER_SECOND": "1000", **more}


@contextmanager
def started(home: Path, *words: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, running; killed with all its descendants if the test leaves it so."""
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
    """Everything that the process has started, directly or not, and that still runs."""
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def command_line(process: psutil.Process) -> list[str]:
    """Its words; none once it has ended."""
    try:
        words: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return words


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until it is so, while the process runs."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


def interrupted(
    process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGINT
) -> tuple[int, str, str, list[psutil.Process]]:
    """End it with a signal; gives status, output, and which descendants outlived it."""
    family = descendants(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, out, err, [each for each in family if is_alive(each)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything."""
    try:
        # Containers often have nobody to bury the dead.
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def output_until(process: "subprocess.Popen[str]", end: str) -> str:
    """What it prints, up to the line that holds ``end``."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if end in line:
            return told
    raise AssertionError(f"it ended without {end!r}: {process.communicate()}")


def database_runs(home: Path) -> bool:
    """Whether the embedded server of that home has not been stopped."""
    return (home / "postgres" / "postmaster.pid").exists()
