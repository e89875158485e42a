"""A clinic is adopted, compared, switched and switched back; a browser logs in at the vendor."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pims_pipeline.domain.phases import Phase
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.adoption.planted import KEY, KEY_VARIABLE, V4Installation
from pims_pipeline_tests.cli.invocation import PASSWORD, Pims, document, error_line

COMPANY = "1001"
THEIR_LOGIN = {"username": "demo", "password": PASSWORD, "company_id": COMPANY}
CRONS = {"inbound": "*/20 * * * *", "reconciliation": "0 3 * * *"}
CLINIC = "--clinic=riverbend"


def _days(first: int, last: int) -> tuple[date, date]:
    today = datetime.now(UTC).date()
    return today + timedelta(days=first), today + timedelta(days=last)


def schedules(theirs: V4Installation) -> object:
    table = "clinic_schedule_config" if theirs.is_deployed else "clinic_schedule_configs"
    ((stored,),) = theirs.run(f"SELECT sync_schedules FROM {table}")  # noqa: S608 - one of two names
    return stored


def times(theirs: V4Installation) -> dict[str, object]:
    """When each of their cases is, by the appointment."""
    columns = "external_id, scheduled_at" if theirs.is_deployed else "pims_id, scheduled_date"
    return dict(theirs.run(f"SELECT {columns} FROM cases"))  # noqa: S608 - one of two texts


@pytest.fixture
def adopted(pims: Pims, simulator: SimulatorServer, theirs: V4Installation) -> V4Installation:
    """An installation whose clinic was adopted before v4.0 made any case."""
    clinic_id = theirs.clinic("riverbend")
    theirs.login(clinic_id, THEIR_LOGIN)
    theirs.schedule(clinic_id, CRONS)
    for phase in Phase:
        # Of a sync of theirs that begins after all that this test does.
        theirs.insert(
            "case_sync_audits",
            clinic_id=clinic_id,
            sync_type=phase.value,
            status="completed",
            started_at=datetime.now(UTC) + timedelta(hours=1),
        )
    found = document(pims("adopt", "inspect", f"--schema={theirs.schema}", "--json"))
    assert [each["slug"] for each in found["clinics"]] == ["riverbend"]
    base_url = f"--base-url={simulator.base_url}"
    run = ("adopt", "run", CLINIC, f"--schema={theirs.schema}", base_url)
    assert pims(*run, **{KEY_VARIABLE: KEY}).exit_code == 0
    return theirs


def test_a_clinic_is_adopted_compared_switched_and_switched_back(
    pims: Pims, control: SimulatorControl, adopted: V4Installation
) -> None:
    before = adopted.checksum()
    assert pims("sync", "full", CLINIC).exit_code == 0
    (status,) = document(pims("status", "--json"))["clinics"]
    missing = pims("adopt", "diff", CLINIC, "--json")
    refused = error_line(pims("adopt", "switch", CLINIC))
    assert adopted.checksum() == before

    assert status["credentials"] == "valid"
    assert missing.exit_code == 3
    assert "differences" in refused
    kept = schedules(adopted)
    assert pims("adopt", "switch", CLINIC, "--accept=1000").exit_code == 0
    assert schedules(adopted) != kept

    assert pims("sync", "inbound", CLINIC).exit_code == 0
    written = times(adopted)
    assert written
    agreed = pims("adopt", "diff", CLINIC)
    assert agreed.exit_code == 0, agreed.output

    appointment = next(
        each
        for each in control.appointments(COMPANY, *_days(1, 3))
        if adopted.external_id(each.id) in written
    )
    control.move(COMPANY, appointment.id, appointment.start + timedelta(days=1))
    assert pims("sync", "inbound", CLINIC).exit_code == 0
    moved = {name for name, at in times(adopted).items() if written.get(name) != at}
    assert moved == {adopted.external_id(appointment.id)}

    assert pims("adopt", "switch", CLINIC, "--back").exit_code == 0
    assert schedules(adopted) == kept
    after = adopted.checksum()
    control.move(COMPANY, appointment.id, appointment.start)
    assert pims("sync", "inbound", CLINIC).exit_code == 0
    assert adopted.checksum() == after
    steps = document(pims("adopt", "status", "--json"))["clinics"][0]["steps"]
    assert [each["step"] for each in steps if each["step"] != "mode"] == [
        *("run", "switch", "switch back")
    ]
