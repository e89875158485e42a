"""``pims cases`` and ``pims status`` over stored cases, whose histories come from syncs."""

from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.invocation import Pims, document, error_line


def test_a_clinic_without_cases_says_so(pims: Pims, registered: str) -> None:
    done = pims("cases", "list", "--clinic", registered, "--date=2026-03-29")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"No cases of {registered} are stored for 2026-03-29.\n"
    listed = document(pims("cases", "list", "--clinic", registered, "--json"))
    assert listed == {"clinic": registered, "cases": []}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "--clinic=elsewhere"], "unknown clinic 'elsewhere'"),
        (["list", "--clinic=riverbend", "--date=29.03.2026"], "'29.03.2026' is not a date"),
        (["list", "--clinic=riverbend", "--limit=0"], "--limit"),
        (["show", "7"], "'7' is not a valid UUID"),
        (["show", str(uuid4())], "no case has the id"),
        (["show"], "--pims-id and --clinic"),
        (["show", "--pims-id=7"], "both --pims-id and --clinic"),
        (["show", str(uuid4()), "--pims-id=7", "--clinic=riverbend"], "not both"),
        (["show", "--pims-id=7", "--clinic=elsewhere"], "unknown clinic 'elsewhere'"),
        (["show", "--pims-id=7", "--clinic=riverbend"], "no case of riverbend has"),
    ],
    ids=[
        "clinic",
        "date",
        "limit",
        "no id",
        "unknown id",
        "nothing",
        "half",
        "both",
        "other clinic",
        "unknown appointment",
    ],
)
def test_what_cannot_be_found_is_named(
    pims: Pims, registered: str, words: list[str], message: str
) -> None:
    assert registered == "riverbend"
    done = pims("cases", *words)

    assert done.exit_code == 2
    assert message in error_line(done)


def test_a_case_history_names_each_change_its_time_and_its_source(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    day = control.clinics()[0].today + timedelta(days=1)
    dates = ("--clinic", ready, f"--from={day}", f"--to={day}")
    first = document(pims("sync", "inbound", *dates, "--json"))
    appointment = next(
        each
        for each in control.appointments("1001", day, day)
        if each.kind == "appointment" and not each.deleted
    )
    moved = appointment.start + timedelta(minutes=7)
    control.move("1001", appointment.id, moved)
    second = document(pims("sync", "inbound", *dates, "--json"))

    words = ("cases", "show", f"--pims-id={appointment.id}", "--clinic", ready)
    shown = document(
        pims(*words, "--json", DAGSTER_GRAPHQL_URL="https://dagster.example/x/graphql")
    )
    assert shown == document(
        pims(
            "cases", "show", shown["id"], "--json", DAGSTER_GRAPHQL_URL="https://dagster.example/x"
        )
    )
    created, rescheduled = shown["events"]
    assert [created["kind"], rescheduled["kind"]] == ["created", "rescheduled"]
    assert [created["syncId"], rescheduled["syncId"]] == [first["syncId"], second["syncId"]]
    assert {each["phase"] for each in shown["events"]} == {"inbound"}
    assert {each["partitionKey"] for each in shown["events"]} == {f"{ready}|{day}"}
    assert created["runUrl"] == f"https://dagster.example/x/runs/{created['runId']}"
    zone = ZoneInfo(shown["timezone"])
    before, after = rescheduled["changes"]["scheduled_start"]
    assert [datetime.fromisoformat(each).astimezone(zone) for each in (before, after)] == [
        appointment.start.replace(tzinfo=zone),
        moved.replace(tzinfo=zone),
    ]
    occurred = datetime.fromisoformat(rescheduled["occurredAt"])
    assert datetime.fromisoformat(rescheduled["occurredAtLocal"]) == occurred

    # The time of the vendor's change is known only for the record that is stored now.
    assert created["source"]["vendorUpdatedAt"] is None
    [truth] = [each for each in control.appointments("1001", day, day) if each.id == appointment.id]
    assert truth.last_updated_at is not None
    vendor_updated_at = datetime.fromisoformat(rescheduled["source"]["vendorUpdatedAt"]).astimezone(
        zone
    )
    assert vendor_updated_at.replace(tzinfo=None) == truth.last_updated_at
    # The first run logged in; the second used its session.
    assert [each["purpose"] for each in created["credentialAccesses"]] == ["login"]
    assert [each["purpose"] for each in rescheduled["credentialAccesses"]] == ["sync"]

    text = pims(*words).stdout
    assert f"http://127.0.0.1:3000/runs/{rescheduled['runId']}" in text
    assert f'scheduled_start: "{before}" → "{after}"' in text
    assert rescheduled["source"]["digest"][:12] in text
    assert f"for login at {created['credentialAccesses'][0]['accessedAt']}" in text


def test_a_clinic_that_was_never_synced_says_so(pims: Pims, registered: str) -> None:
    status = document(pims("status", "--json"))
    never = {
        "lastSuccessAt": None,
        "lastCompletedOrHeldAt": None,
        "ageSeconds": None,
        "schedule": "on",
        "isLate": False,
        "ticksSkipped": 0,
        "latest": None,
    }

    for phase in status["clinics"][0]["phases"].values():
        assert phase.pop("nextDueAt") > status["timestamp"]
    assert status["clinics"] == [
        {
            "slug": registered,
            "name": "Riverbend Animal Hospital",
            "timezone": "America/New_York",
            "isActive": True,
            "phases": {"inbound": never, "cases": never, "reconciliation": never},
            "credentials": None,
            "session": {"status": "none", "expiresAt": None, "lastUsedAt": None},
            "openHolds": 0,
            "openFailures": 0,
            "deadLetters": 0,
        }
    ]
    assert "never" in pims("status").stdout
