"""``pims failures``: list, show and retry failures."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, update

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import (
    FailureInput,
    open_failures,
    record_failures,
    resolve_failures,
)
from pims_pipeline.store.tables.syncs import sync_failures
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = date(2026, 3, 2)
THAT_DAY = DateRange(DAY, DAY)


def stored_failure(
    engine: Engine,
    slug: str,
    phase: Phase = Phase.CASES,
    *,
    key: str = "A-1",
    window: DateRange | None = THAT_DAY,
    resolved: bool = False,
) -> str:
    """Store a failure that no run has had; returns its id."""
    failed = FailureInput(
        record_key=key,
        pims_id=key,
        error_class="TransientError",
        error_message="the vendor responded with 503",
        window=window,
    )
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        record_failures(connection, clinic, phase, [failed], NOW)
        [found] = [
            each for each in open_failures(connection, clinic, phase) if each.record_key == key
        ]
        if resolved:
            resolve_failures(connection, clinic, phase, [key], NOW)
    return str(found.id)


def listed(pims: Pims, *words: str) -> list[dict[str, object]]:
    found = document(pims("failures", "list", *words, "--json"))["failures"]
    assert isinstance(found, list)
    return found


@pytest.fixture
def unfetched(pims: Pims, logged_in: str, control: SimulatorControl) -> list[dict[str, object]]:
    """Yesterday's consultations, none of which could be fetched."""
    day = control.clinics()[0].today - timedelta(days=1)
    dates = ("--clinic", logged_in, f"--from={day}", f"--to={day}")
    document(pims("sync", "inbound", *dates, "--json"))
    control.add_fault("html", endpoint="consultation", times=None)
    failed = pims("sync", "cases", *dates)
    assert failed.exit_code == 1, failed.output
    control.clear_faults()
    found = listed(pims, "--clinic", logged_in)
    assert len(found) > 2
    return found


def test_failures_are_listed_with_their_clinic_phase_and_case(
    pims: Pims, ready: str, unfetched: list[dict[str, object]]
) -> None:
    cases = document(pims("cases", "list", "--clinic", ready, "--json"))["cases"]
    case_ids = {case["pimsId"]: case["id"] for case in cases}
    for each in unfetched:
        assert each["clinic"] == ready
        assert (each["phase"], each["status"], each["attempts"]) == ("cases", "open", 1)
        assert each["errorClass"] == "ContractViolation"
        assert each["caseId"] == case_ids[each["pimsId"]]
        assert each["nextRetryAt"] is not None
    shown = pims("failures", "show", str(unfetched[0]["id"])).stdout
    assert f"case {unfetched[0]['caseId']}" in shown
    assert str(unfetched[0]["errorClass"]) in pims("failures", "list").stdout


def test_a_retry_fetches_the_record_and_resolves_the_failure(
    pims: Pims, unfetched: list[dict[str, object]]
) -> None:
    failure = unfetched[0]
    done = document(pims("failures", "retry", str(failure["id"]), "--json"))

    assert (done["outcome"], done["status"]) == ("resolved", "resolved")
    left = {each["id"] for each in listed(pims)}
    assert left == {each["id"] for each in unfetched} - {failure["id"]}
    resolved = {each["id"] for each in listed(pims, "--all") if each["status"] == "resolved"}
    assert resolved == {failure["id"]}


def test_a_dead_letter_can_be_retried_and_reports_how_it_failed(
    pims: Pims, engine: Engine, control: SimulatorControl, unfetched: list[dict[str, object]]
) -> None:
    failure_id = str(unfetched[0]["id"])
    with transaction(engine) as connection:
        connection.execute(
            update(sync_failures)
            .where(sync_failures.c.id == UUID(failure_id))
            .values(attempts=8, next_retry_at=None)
        )
    assert document(pims("failures", "show", failure_id, "--json"))["status"] == "dead"
    control.add_fault("html", endpoint="consultation", times=None)
    done = pims("failures", "retry", failure_id)

    assert done.exit_code == 1
    assert "it failed again: ContractViolation: " in error_line(done)
    after = document(pims("failures", "show", failure_id, "--json"))
    assert (after["attempts"], after["status"]) == (9, "dead")


def test_a_record_that_can_be_read_again_is_resolved_by_a_retry(
    pims: Pims, logged_in: str, control: SimulatorControl
) -> None:
    # The sync's listing, and the first retry's.
    control.add_fault("record_without_start", endpoint="listing", times=2)
    pims("sync", "inbound", "--clinic", logged_in)
    [failure] = listed(pims)
    assert (failure["phase"], failure["businessDate"], failure["status"]) == (
        "inbound",
        None,
        "dead",
    )
    assert (
        "read again with the next sync of its date"
        in pims("failures", "show", str(failure["id"])).stdout
    )
    again = pims("failures", "retry", str(failure["id"]))
    assert again.exit_code == 1
    assert "it failed again" in error_line(again)

    done = pims("failures", "retry", str(failure["id"]))
    assert done.exit_code == 0, done.output
    assert done.stdout == f"failure {failure['id']} is resolved\n"
    assert listed(pims) == []


def test_a_failure_whose_appointment_is_no_longer_due_is_not_retried(
    pims: Pims, engine: Engine, ready: str
) -> None:
    failure_id = stored_failure(engine, ready)
    done = pims("failures", "retry", failure_id)

    assert done.exit_code == 1
    assert "it was not retried: no consultation is due for its appointment" in error_line(done)


def test_a_retry_without_the_vendor_says_why_it_was_not_tried(
    pims: Pims, engine: Engine, logged_in: str, control: SimulatorControl
) -> None:
    day = control.clinics()[0].today
    failure_id = stored_failure(engine, logged_in, Phase.INBOUND, window=DateRange(day, day))
    control.add_fault("html", endpoint="listing", times=None)
    done = pims("failures", "retry", failure_id)

    assert done.exit_code == 1
    assert "it was not retried: ContractViolation" in error_line(done)
    assert [each["id"] for each in listed(pims)] == [failure_id]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("resolved", "was resolved on 2026-03-02 09:30 UTC"),
        ("deactivated", "was deactivated"),
        ("undated", " is unknown; sync the dates"),
        ("out of reach", "PIMS_PARTITION_START"),
    ],
)
def test_a_failure_that_cannot_be_retried_is_unchanged(
    pims: Pims, engine: Engine, ready: str, case: str, message: str
) -> None:
    long_ago = date(1999, 1, 1)
    windows = {"undated": None, "out of reach": DateRange(long_ago, long_ago)}
    failure_id = stored_failure(
        engine, ready, window=windows.get(case, THAT_DAY), resolved=case == "resolved"
    )
    if case == "deactivated":
        assert pims("clinics", "deactivate", ready).exit_code == 0
    before = everything(engine)
    done = pims("failures", "retry", failure_id)

    assert done.exit_code == 1
    assert message in error_line(done)
    assert everything(engine) == before


def test_without_a_login_nothing_is_retried(pims: Pims, engine: Engine, registered: str) -> None:
    failure_id = stored_failure(engine, registered)
    before = everything(engine)
    done = pims("failures", "retry", failure_id)

    assert done.exit_code == 1
    assert f"pims credentials set {registered}" in error_line(done)
    assert everything(engine) == before


@pytest.mark.parametrize("verb", ["show", "retry"])
@pytest.mark.parametrize(
    ("failure_id", "status", "message"),
    [(str(uuid4()), 2, "there is no failure"), ("7", 2, "'7' is not a valid UUID")],
    ids=["unknown", "malformed"],
)
def test_an_unknown_failure_is_reported_in_one_line(
    pims: Pims, verb: str, failure_id: str, status: int, message: str
) -> None:
    done = pims("failures", verb, failure_id)

    assert done.exit_code == status
    assert message in error_line(done)


def test_the_list_says_when_nothing_has_failed(pims: Pims, registered: str) -> None:
    assert pims("failures", "list", "--clinic", registered).stderr == "No failure is open.\n"
    assert pims("failures", "list", "--all").stderr == "Nothing has failed.\n"
    unknown = pims("failures", "list", "--clinic=elsewhere")
    assert (unknown.exit_code, "unknown clinic" in error_line(unknown)) == (2, True)
