"""``pims holds``: list, show and decide on the deletions that the guard holds back."""

import getpass
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select

from pims_pipeline.simulator.control_client import SimulatorControl, TrueAppointment
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.syncs import reconciliation_holds
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything


class Held:
    """A day on which every appointment but one was deleted, and its hold."""

    def __init__(self, pims: Pims, slug: str, control: SimulatorControl) -> None:
        self.day: date = control.clinics()[0].today + timedelta(days=1)
        self.dates = ("--clinic", slug, f"--from={self.day}", f"--to={self.day}")
        document(pims("sync", "inbound", *self.dates, "--json"))
        self.appointments = appointments(control, self.day)
        assert len(self.appointments) > 2
        for appointment in self.appointments[1:]:
            control.delete("1001", appointment.id)
        self.gone = {appointment.id for appointment in self.appointments[1:]}
        self.sync = pims(
            "sync", "reconcile", *self.dates, "--max-orphans=0", "--max-percent=0", "--json"
        )
        [hold] = document(pims("holds", "list", "--json"))["holds"]
        self.id: str = hold["id"]


def appointments(control: SimulatorControl, day: date) -> Sequence[TrueAppointment]:
    """The appointments in the simulator's calendar."""
    found = control.appointments("1001", day, day)
    return [each for each in found if each.kind == "appointment" and not each.deleted]


@pytest.fixture
def held(pims: Pims, logged_in: str, control: SimulatorControl) -> Held:
    return Held(pims, logged_in, control)


def retired(pims: Pims, held: Held) -> set[str]:
    """The vendor identities of the day's cases that were retired."""
    listed = document(pims("cases", "list", *held.dates[:2], f"--date={held.day}", "--json"))
    return {case["pimsId"] for case in listed["cases"] if case["softDeleted"]}


def test_a_run_with_its_own_limits_is_held_and_listed(pims: Pims, ready: str, held: Held) -> None:
    assert held.sync.exit_code == 1
    assert "the deletion guard holds back" in error_line(held.sync)
    assert retired(pims, held) == set()
    [hold] = document(pims("holds", "list", "--clinic", ready, "--json"))["holds"]
    day = held.day.isoformat()
    assert {name: hold[name] for name in hold if name != "createdAt"} == {
        "id": held.id,
        "clinic": ready,
        "dateRange": {"startDate": day, "endDate": day},
        "reason": "too_many_orphans",
        "casesActive": len(held.appointments),
        "casesOrphaned": len(held.gone),
        "status": "open",
        "isInForce": False,
        "decidedBy": None,
        "decidedAt": None,
    }
    assert held.id in pims("holds", "list").stdout


def test_a_hold_shows_the_current_status_of_its_cases(pims: Pims, held: Held) -> None:
    shown = document(pims("holds", "show", held.id, "--json"))
    assert {
        (case["pimsId"], case["scheduledDate"], case["softDeleted"], case["outcome"])
        for case in shown["cases"]
    } == {(pims_id, held.day.isoformat(), False, None) for pims_id in held.gone}
    text = pims("holds", "show", held.id).stdout
    assert all(case["id"] in text for case in shown["cases"])


def test_approval_retires_what_is_still_missing_and_reports_what_is_kept(
    pims: Pims, held: Held, control: SimulatorControl
) -> None:
    back = held.appointments[1].id
    control.restore("1001", back)
    done = document(pims("holds", "approve", held.id, "--by=Sam", "--json"))

    assert retired(pims, held) == held.gone - {back}
    assert (done["status"], done["decidedBy"]) == ("approved", "Sam")
    assert {case["pimsId"]: (case["outcome"], case["keptBecause"]) for case in done["cases"]} == {
        **dict.fromkeys(held.gone, ("retired", None)),
        back: ("kept", "its appointment is at the vendor"),
    }
    [case] = [case for case in done["cases"] if case["pimsId"] == held.appointments[2].id]
    event = document(pims("cases", "show", case["id"], "--json"))["events"][-1]
    assert (event["kind"], event["syncId"], event["runId"]) == (
        "soft_deleted",
        done["syncId"],
        done["runId"],
    )
    shown = pims("holds", "show", held.id).stdout
    assert f"{len(held.gone) - 1} were retired, 1 kept" in shown
    assert "kept: its appointment is at the vendor" in shown
    assert document(pims("holds", "list", "--json")) == {"holds": [], "rejectionsInForce": []}
    [listed] = document(pims("holds", "list", "--all", "--json"))["holds"]
    assert listed["status"] == "approved"


def test_this_machines_user_approves_by_default(pims: Pims, held: Held) -> None:
    done = pims("holds", "approve", held.id)
    assert done.exit_code == 0, done.output
    assert f"approved by {getpass.getuser()}" in done.stdout
    assert retired(pims, held) == held.gone


def test_a_run_may_allow_more_than_the_settings_do(pims: Pims, held: Held) -> None:
    done = document(pims("sync", "full", *held.dates, "--max-percent=100", "--json"))

    assert done["reconciliationResult"]["stats"]["casesDeleted"] == len(held.gone)
    # A full sync covers more dates than the hold, and supersedes it.
    [hold] = document(pims("holds", "list", "--all", "--json"))["holds"]
    assert (hold["id"], hold["status"]) == (held.id, "superseded")


def test_a_rejected_hold_retires_nothing(pims: Pims, held: Held) -> None:
    done = pims("holds", "reject", held.id, "--by=Sam")
    assert done.exit_code == 0, done.output
    assert "is rejected" in done.stdout
    assert retired(pims, held) == set()
    shown = document(pims("holds", "show", held.id, "--json"))
    assert (shown["status"], shown["decidedBy"]) == ("rejected", "Sam")


def test_a_rejection_in_force_is_shown_and_applied_and_can_be_revoked(
    pims: Pims, held: Held
) -> None:
    limits = ("--max-orphans=0", "--max-percent=0")
    assert pims("holds", "reject", held.id, "--by=Sam").exit_code == 0
    again = document(pims("sync", "reconcile", *held.dates, *limits, "--json"))
    assert again["stats"]["casesHeld"] == len(held.gone)
    listed = pims("holds", "list")
    assert f"hold {held.id}" in listed.stdout
    assert f"keeps {len(held.gone)} cases" in listed.stdout
    assert "rejected, in force" in pims("holds", "list", "--all").stdout
    found = document(pims("holds", "list", "--json"))
    assert found["holds"] == []
    assert [each["id"] for each in found["rejectionsInForce"]] == [held.id]
    shown = pims("holds", "show", held.id).stdout
    assert "The rejection is in force" in shown
    assert shown.count("stays: its retirement was rejected") == len(held.gone)
    facts = document(pims("holds", "show", held.id, "--json"))
    assert facts["isInForce"]
    assert {case["pimsId"] for case in facts["cases"] if case["stays"]} == held.gone

    assert pims("holds", "reopen", held.id).exit_code == 0
    assert not document(pims("holds", "show", held.id, "--json"))["isInForce"]
    assert "no rejection in force" in error_line(pims("holds", "reopen", held.id))
    assert pims("sync", "reconcile", *held.dates, *limits).exit_code == 1
    [hold] = document(pims("holds", "list", "--json"))["holds"]
    assert hold["id"] != held.id


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize("status", ["approved", "rejected", "superseded"])
def test_a_decided_hold_is_unchanged(
    pims: Pims, ready: str, engine: Engine, status: str, verb: str
) -> None:
    hold_id = stored_hold(ready, engine, status)
    before = everything(engine)
    done = pims("holds", verb, hold_id)

    assert done.exit_code == 1
    assert f"hold {hold_id} was {status}" in error_line(done)
    assert everything(engine) == before


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_hold_of_a_deactivated_clinic_is_unchanged(
    pims: Pims, ready: str, engine: Engine, verb: str
) -> None:
    hold_id = stored_hold(ready, engine, "open")
    assert pims("clinics", "deactivate", ready).exit_code == 0
    before = everything(engine)
    done = pims("holds", verb, hold_id)

    assert done.exit_code == 1
    assert f"clinic '{ready}' was deactivated" in error_line(done)
    assert everything(engine) == before


def test_a_hold_of_dates_without_partitions_is_not_approved(
    pims: Pims, ready: str, engine: Engine
) -> None:
    hold_id = stored_hold(ready, engine, "open", day=date(1999, 1, 1))
    before = everything(engine)
    done = pims("holds", "approve", hold_id)

    assert done.exit_code == 1
    assert "PIMS_PARTITION_START" in error_line(done)
    assert everything(engine) == before


@pytest.mark.parametrize("verb", ["show", "approve", "reject", "reopen"])
@pytest.mark.parametrize(
    ("hold_id", "status", "message"),
    [(str(uuid4()), 2, "there is no hold"), ("7", 2, "'7' is not a valid UUID")],
    ids=["unknown", "malformed"],
)
def test_an_unknown_hold_is_reported_in_one_line(
    pims: Pims, verb: str, hold_id: str, status: int, message: str
) -> None:
    done = pims("holds", verb, hold_id)

    assert done.exit_code == status
    assert message in error_line(done)


def test_an_empty_name_is_refused(pims: Pims) -> None:
    done = pims("holds", "reject", str(uuid4()), "--by= ")

    assert done.exit_code == 2
    assert "--by is empty" in error_line(done)


def test_a_failed_approval_leaves_the_hold_open(
    pims: Pims, held: Held, control: SimulatorControl
) -> None:
    control.add_fault("html", endpoint="listing", times=None)
    done = pims("holds", "approve", held.id)

    assert done.exit_code == 1
    assert f"hold {held.id} still waits, and nothing was changed: ContractViolation" in error_line(
        done
    )
    assert retired(pims, held) == set()
    assert [each["id"] for each in document(pims("holds", "list", "--json"))["holds"]] == [held.id]


@pytest.mark.parametrize(
    "words",
    [
        ["--max-percent=101"],
        ["--max-percent=-1"],
        ["--max-percent=nan"],
        ["--max-percent=half"],
        ["--max-orphans=-1"],
        ["--max-orphans=1.5"],
    ],
    ids=str,
)
@pytest.mark.parametrize("scope", ["reconcile", "full"])
def test_invalid_limits_change_nothing(
    pims: Pims, ready: str, engine: Engine, scope: str, words: list[str]
) -> None:
    before = everything(engine)
    done = pims("sync", scope, "--clinic", ready, *words)

    assert done.exit_code == 2
    assert words[0].partition("=")[0] in error_line(done)
    assert everything(engine) == before


def stored_hold(slug: str, engine: Engine, status: str, day: date = date(2026, 3, 2)) -> str:
    """Store a hold that no run has made; returns its id."""
    table = reconciliation_holds
    with transaction(engine) as connection:
        clinic_id = connection.scalar(select(clinics.c.id).where(clinics.c.slug == slug))
        hold_id = connection.scalar(
            table.insert()
            .values(
                clinic_id=clinic_id,
                window_start=day,
                window_end=day,
                reason="too_many_orphans",
                plan={"caseIds": [str(uuid4())]},
                status=status,
            )
            .returning(table.c.id)
        )
    return str(hold_id)
