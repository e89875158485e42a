"""The output of runs is stored and printed, by the run's own process."""

import os
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.orchestration import compute_logs
from pims_pipeline.orchestration.compute_logs import InProcessComputeLogManager
from pims_pipeline.orchestration.instance import dagster_home

KEY = ["a-run", "compute_logs", "a-step"]
LONG = "x" * 200_000


@pytest.fixture
def manager(tmp_path: Path) -> InProcessComputeLogManager:
    """The manager that ``dagster.yaml`` names, over a temporary home."""
    config = yaml.safe_load((dagster_home(tmp_path) / "dagster.yaml").read_text())["compute_logs"]
    assert config["module"] == InProcessComputeLogManager.__module__
    assert config["class"] == InProcessComputeLogManager.__name__
    assert config["config"] == {"home": {"env": "DAGSTER_HOME"}}
    return InProcessComputeLogManager.from_config_value(None, {"home": str(tmp_path)})


def test_output_is_stored_and_printed_without_a_helper_process(
    manager: InProcessComputeLogManager, capfd: pytest.CaptureFixture[str]
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with manager.capture_logs(KEY):
        print("out of Python")  # noqa: T201 - as a run may
        print(LONG, file=sys.stderr)  # noqa: T201 - as above
        os.write(sys.stderr.fileno(), b"past Python\n")
        started = set(psutil.Process().children(recursive=True)) - before
    shown = capfd.readouterr()
    kept = manager.get_log_data(KEY)

    assert started == set()
    assert shown.out == "out of Python\n"
    assert sorted(shown.err.splitlines()) == ["past Python", LONG]
    assert (kept.stdout, kept.stderr) == (shown.out.encode(), shown.err.encode())
    assert manager.is_capture_complete(KEY)


def test_a_run_that_fails_leaves_the_streams_as_they_were(
    manager: InProcessComputeLogManager, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        with manager.capture_logs(KEY):
            print("before the fault")  # noqa: T201 - as a run may
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    print("after it")  # noqa: T201 - as above

    assert capfd.readouterr().out == "before the fault\nafter it\n"
    assert not manager.is_capture_complete(KEY)


def test_output_without_a_reader_does_not_block_the_end_of_a_run(
    manager: InProcessComputeLogManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute_logs, "_LAST_OUTPUT_SECONDS", 0.1)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        with manager.capture_logs(KEY):
            os.write(unread.fileno(), LONG.encode())
    # Ends the thread that still waits for a reader.
    os.close(reading)

    assert manager.get_log_data(KEY).stdout == LONG.encode()
