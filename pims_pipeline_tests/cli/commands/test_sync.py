"""``pims sync``: a real run with the API's result object, and what is refused before it."""

import base64
import json
import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.invocation import (
    Pims,
    document,
    error_line,
    everything,
    store_login,
)

TODAY = date(2026, 3, 10)
LONG_AGO = date(2025, 1, 1)
COUNTED = ("casesCreated", "casesUpdated", "casesRestored", "quarantined")


def case_rows(engine: Engine) -> list[tuple[Any, ...]]:
    """All cases with all columns."""
    return everything(engine)["cases"]


def test_a_second_full_sync_changes_nothing(pims: Pims, ready: str, engine: Engine) -> None:
    first = document(pims("sync", "full", "--clinic", ready, "--json"))
    cases = case_rows(engine)
    second = document(pims("sync", "full", "--clinic", ready, "--json"))

    assert [first["success"], second["success"]] == [True, True]
    created = first["inboundResult"]["stats"]["casesCreated"]
    assert created == len(cases) > 0
    assert {name: second["inboundResult"]["stats"][name] for name in COUNTED} == dict.fromkeys(
        COUNTED, 0
    )
    assert second["reconciliationResult"]["stats"]["casesDeleted"] == 0
    assert second["reconciliationResult"]["deletedCases"] == []
    assert case_rows(engine) == cases
    assert first["syncId"] == first["inboundResult"]["syncId"] != second["syncId"]
    assert first["dateRange"] == first["casesResult"]["dateRange"]

    [clinic] = document(pims("status", "--json"))["clinics"]
    latest = {phase: each["latest"]["syncId"] for phase, each in clinic["phases"].items()}
    assert latest == {
        "inbound": second["inboundResult"]["syncId"],
        "cases": second["casesResult"]["syncId"],
        "reconciliation": second["reconciliationResult"]["syncId"],
    }


def test_a_deleted_appointment_is_in_the_result_and_in_the_case_history(
    pims: Pims, logged_in: str, control: SimulatorControl
) -> None:
    day = control.clinics()[0].today + timedelta(days=1)
    dates = ("--clinic", logged_in, f"--from={day}", f"--to={day}")
    document(pims("sync", "inbound", *dates, "--json"))
    appointment = next(
        each
        for each in control.appointments("1001", day, day)
        if each.kind == "appointment" and not each.deleted
    )
    control.delete("1001", appointment.id)
    result = document(pims("sync", "reconcile", *dates, "--json"))

    [deleted] = result["deletedCases"]
    case = document(pims("cases", "show", deleted, "--json"))
    assert result["stats"]["casesDeleted"] == 1
    assert (case["pimsId"], case["status"]) == (appointment.id, "reviewed")
    assert [event["kind"] for event in case["events"]] == ["created", "soft_deleted"]
    assert case["events"][1]["syncId"] == result["syncId"]
    listed = document(pims("cases", "list", "--clinic", logged_in, f"--date={day}", "--json"))
    assert [each["id"] for each in listed["cases"] if each["softDeleted"]] == [deleted]
    shown = pims("cases", "show", deleted).stdout
    assert f"{logged_in}|{day}" in shown
    assert "softDeleted" in shown


def test_a_rejected_password_fails_the_sync_and_is_not_retried(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    store_login(pims, ready, "not-it-at-all")
    done = pims("sync", "full", "--clinic", ready, "--json")
    requests = control.stats().requests
    again = pims("sync", "inbound", "--clinic", ready)

    assert (done.exit_code, again.exit_code) == (1, 1)
    assert f"pims credentials set {ready}" in error_line(done)
    assert f"pims credentials set {ready}" in error_line(again)
    assert control.stats().requests == requests
    assert "not-it-at-all" not in done.output


def test_a_failed_sync_prints_its_result_too(
    pims: Pims, logged_in: str, control: SimulatorControl, engine: Engine
) -> None:
    document(pims("sync", "inbound", "--clinic", logged_in, "--json"))
    cases = case_rows(engine)
    control.add_fault("html", endpoint="listing", times=None)
    done = pims("sync", "full", "--clinic", logged_in)

    assert done.exit_code == 1
    assert f"the sync of {logged_in} failed: ContractViolation" in error_line(done)
    assert "inbound         failed" in done.stdout
    assert "cases           not run" in done.stdout
    assert "reconciliation  not run" in done.stdout
    assert case_rows(engine) == cases


def test_the_json_of_a_failed_full_sync_has_the_error_of_its_first_failed_phase(
    pims: Pims, logged_in: str, control: SimulatorControl
) -> None:
    control.add_fault("html", endpoint="listing", times=None)
    done = pims("sync", "full", "--clinic", logged_in, "--json")
    result = json.loads(done.stdout)

    assert done.exit_code == 1
    assert result["error"] == result["inboundResult"]["error"]
    assert result["error"].startswith("ContractViolation")
    assert error_line(done).endswith(f"failed: {' '.join(result['error'].split())}")


def test_a_retry_does_not_write_to_standard_output(
    pims: Pims, logged_in: str, control: SimulatorControl
) -> None:
    control.add_fault("server_error", endpoint="listing", times=1)
    done = pims("sync", "inbound", "--clinic", logged_in, "--json", LOG_LEVEL="INFO")

    assert document(done)["success"]
    assert "stamina.retry_scheduled" in done.stderr


def test_with_another_key_the_sync_names_the_setting(pims: Pims, ready: str) -> None:
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    done = pims("sync", "inbound", "--clinic", ready, ENCRYPTION_KEY=other)

    assert done.exit_code == 1
    assert "ENCRYPTION_KEYS_RETIRED" in error_line(done)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clinic=elsewhere"], "unknown clinic 'elsewhere'"),
        (["--clinic=riverbend", "--from=yesterday"], "'yesterday' is not a date"),
        (["--clinic=riverbend", "--from=20260301"], "'20260301' is not a date"),
        (["--clinic=riverbend", "--to=2026-02-30"], "'2026-02-30' is not a date"),
        (["--clinic=riverbend", "--from=2026-03-02", "--to=2026-03-01"], "before it starts"),
        (["--clinic=riverbend", "--from=2025-01-01", "--to=2026-01-02"], "at most 366"),
        (["--clinic=riverbend", "--from=1999-01-01", "--to=1999-01-02"], "PIMS_PARTITION_START"),
        (["--clinic=riverbend", "--to=2020-01-01"], "give --from as well"),
    ],
    ids=str,
)
def test_invalid_dates_and_unknown_clinics_change_nothing(
    pims: Pims, ready: str, engine: Engine, words: list[str], message: str
) -> None:
    assert ready == "riverbend"
    before = everything(engine)
    done = pims("sync", "inbound", *words)

    assert done.exit_code == 2
    assert message in error_line(done)
    assert everything(engine) == before


def test_without_a_login_nothing_is_run(pims: Pims, registered: str, engine: Engine) -> None:
    before = everything(engine)
    done = pims("sync", "full", "--clinic", registered)

    assert done.exit_code == 1
    assert f"pims credentials set {registered}" in error_line(done)
    assert everything(engine) == before


def test_a_deactivated_clinic_is_not_synced(pims: Pims, ready: str, engine: Engine) -> None:
    pims("clinics", "deactivate", ready)
    before = everything(engine)
    done = pims("sync", "full", "--clinic", ready)

    assert done.exit_code == 1
    assert "was deactivated" in error_line(done)
    assert everything(engine) == before


def test_a_browser_that_does_not_start_fails_the_sync(
    pims: Pims, ready: str, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = pims("sync", "inbound", "--clinic", ready, PIMS_CHROMIUM_PATH=str(broken))

    assert done.exit_code == 1
    assert "PIMS_CHROMIUM_PATH" in error_line(done)


def test_a_result_has_the_present_time(pims: Pims, logged_in: str) -> None:
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    result = document(pims("sync", "cases", "--clinic", logged_in, "--json"))

    assert began <= datetime.fromisoformat(result["timestamp"]) <= datetime.now(UTC)
    assert set(result) == {
        "success",
        "syncId",
        "stats",
        "dateRange",
        "durationMs",
        "timestamp",
    }
