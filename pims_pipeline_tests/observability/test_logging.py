"""Log lines: their destination, form and context."""

import json
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from pims_pipeline.observability.logging import (
    bound_context,
    configure_logging,
    get_logger,
    with_context,
)
from pims_pipeline.observability.printable import is_control
from pims_pipeline.observability.redaction import REDACTED


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged as JSON since the last call; nothing may be on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_json_line_has_event_time_logger_and_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")

    get_logger("pims_pipeline.sync").info("phase finished", found=3)

    [line] = lines(capsys)
    timestamp = line.pop("timestamp")
    assert isinstance(timestamp, str)
    assert timestamp.endswith("Z")
    assert line == {
        "event": "phase finished",
        "found": 3,
        "level": "info",
        "logger": "pims_pipeline.sync",
    }


def test_a_library_s_line_looks_like_ours_and_keeps_its_extras(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")

    logging.getLogger("some.library").warning(
        "retrying %s", "ana@clinic.example", extra={"attempt": 2, "password": "hunter2"}
    )

    [line] = lines(capsys)
    del line["timestamp"]
    assert line == {
        "event": f"retrying {REDACTED}",
        "level": "warning",
        "logger": "some.library",
        "attempt": 2,
        "password": REDACTED,
    }


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_is_logged_without_the_secret_it_quotes(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", "json" if log_format == "json" else "console")

    address = "postgresql://pims:hunter2@db/pims"
    try:
        int(address)
    except ValueError:
        get_logger("ours").exception("database lost")
        logging.getLogger("theirs").exception("database lost")

    logged = capsys.readouterr().err
    assert "hunter2" not in logged
    assert logged.count(f"postgresql://pims:{REDACTED}@db/pims") == 2
    assert logged.count("ValueError") == 2


def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "console")

    get_logger("ours").info("phase finished", clinic="harbour-vets")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "phase finished" in captured.err
    assert "clinic=harbour-vets" in captured.err
    assert "\x1b[" not in captured.err


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("WARNING", "json")

    get_logger("ours").info("too quiet")
    get_logger("ours").warning("loud enough")

    assert [line["event"] for line in lines(capsys)] == ["loud enough"]


def test_configuring_twice_does_not_write_lines_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "console")
    configure_logging("INFO", "json")

    get_logger("ours").info("once")

    assert [line["event"] for line in lines(capsys)] == ["once"]


def test_libraries_that_report_every_request_are_kept_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")

    logging.getLogger("httpx2").info("HTTP Request: GET http://vendor.example/calendar?owner=Ana")

    assert lines(capsys) == []


def test_warnings_become_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    [line] = lines(capsys)
    assert line["logger"] == "py.warnings"
    assert "this will go" in str(line["event"])


def test_bound_context_is_in_every_line_within_it_and_none_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")

    with bound_context(clinic="harbour-vets", run_id="r1"):
        get_logger("ours").info("inside")
        logging.getLogger("theirs").info("inside")
    get_logger("ours").info("after")

    contexts = [(line["event"], line.get("clinic"), line.get("run_id")) for line in lines(capsys)]
    assert contexts == [
        ("inside", "harbour-vets", "r1"),
        ("inside", "harbour-vets", "r1"),
        ("after", None, None),
    ]


def test_a_worker_thread_inherits_the_context_where_this_is_requested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")

    def work(n: int) -> int:
        get_logger("ours").info("fetched", n=n)
        return n

    with bound_context(clinic="harbour-vets"), ThreadPoolExecutor(2) as pool:
        done = list(pool.map(with_context(work), range(4)))

    assert done == [0, 1, 2, 3]
    assert {(line["n"], line["clinic"]) for line in lines(capsys)} == {
        (n, "harbour-vets") for n in range(4)
    }


def test_an_unconfigured_logger_is_redacted_and_spares_standard_output(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "postgresql://pims:hunter2@db/pims"
    try:
        int(address)
    except ValueError:
        get_logger("ours").exception("careful", password="hunter2")

    assert "hunter2" not in caplog.text
    assert "careful" in caplog.text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_text_in_a_line_steers_the_terminal_that_shows_it(
    log_format: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", log_format)

    get_logger("pims_pipeline").warning(
        "odd\x1b[2J", title="a\x9b31m\u202eb\rc", names=["\x9b0", {"key": "\u202e"}]
    )

    output = capsys.readouterr().err
    assert not any(is_control(each) for each in output.rstrip("\n"))
    assert "a\\" in output
