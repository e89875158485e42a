"""Every log line of a phase names the clinic, phase, window, run and id, from any module."""

import json
import logging
from collections.abc import Iterator

import pytest

from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.providers.port import TransientError
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


@pytest.fixture(autouse=True)
def _logging_left_as_found() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO", "json")
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_of_provider_store_and_worker_threads_carry_the_phase_s_context(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 8, number))
        bench.vendor.record_appointment(str(number))
    inbound = bench.inbound()
    capsys.readouterr()
    bench.vendor.on_request = lambda endpoint: logging.getLogger("vendor").info(
        "requested %s", endpoint
    )
    bench.vendor.expire_sessions()

    cases = bench.in_run("run-2").enrich()

    logged = lines(capsys)
    events = {str(line["event"]) for line in logged}
    assert {
        "phase_started",
        "session_expired",
        "requested consultation",
        "phase_finished",
    } <= events
    context = {
        "clinic": "maple-street",
        "phase": "cases",
        "window": str(WINDOW),
        "run_id": "run-2",
        "sync_id": str(cases.audit_id),
    }
    assert [{name: line.get(name) for name in context} for line in logged] == [context] * len(
        logged
    )
    assert inbound.audit_id != cases.audit_id


def test_a_failed_phase_logs_the_error_s_class_and_its_context_ends_with_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.vendor.fail_next(TransientError("down"), "listing")

    with pytest.raises(TransientError):
        bench.inbound()
    logging.getLogger("after").info("after")

    *_, failed, after = lines(capsys)
    (audit,) = bench.rows("SELECT id FROM case_sync_audits")
    assert (failed["event"], failed["error_class"]) == ("phase_failed", "TransientError")
    assert failed["sync_id"] == str(audit.id)
    assert (after["event"], after.get("sync_id"), after.get("clinic")) == ("after", None, None)
