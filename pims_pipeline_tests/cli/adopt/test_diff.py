"""``pims adopt diff``: what it prints, how it ends, and what it never shows."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from pims_pipeline_tests.adoption.planted import (
    KEY,
    KEY_VARIABLE,
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.cli.adopt.test_adopt import RUN
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

DIFF = ("adopt", "diff", "--clinic=riverbend")
PEOPLE = ("Rex", "Ann Example", "555-0100", "Riverbend", "Bright and alert")


@pytest.fixture
def planted(deployed: V4Installation, pims: Pims) -> PlantedClinic:
    """Adopted, with cases of today, and synced by v4.0 since they were made."""
    planted = plant_clinic(deployed, datetime.now(UTC).date())
    deployed.run("UPDATE case_sync_audits SET started_at = now() + interval '1 hour'")
    assert pims(*RUN, **{KEY_VARIABLE: KEY}).exit_code == 0
    return planted


def test_sides_that_agree_end_with_0_and_others_with_3(
    pims: Pims, deployed: V4Installation, planted: PlantedClinic
) -> None:
    before = deployed.checksum()
    same = pims(*DIFF)
    assert (same.exit_code, deployed.checksum()) == (0, before)
    assert "no differences" in same.output
    assert "duplicate_there: 1" in same.output
    assert "does not count" in same.output

    deployed.run(
        "UPDATE cases SET scheduled_at = scheduled_at - interval '4 hours' WHERE id = %s",
        planted.plain,
    )
    other = pims(*DIFF)

    assert other.exit_code == 3
    assert "1 differences" in other.output
    assert "time_shifted: 1" in other.output
    assert f"appointment 1  case {planted.plain}" in other.output
    assert "-4 h" in other.output
    assert not any(word in same.output + other.output for word in PEOPLE)


def test_the_document_has_ids_and_fields_and_no_people(
    pims: Pims, deployed: V4Installation, planted: PlantedClinic
) -> None:
    deployed.run("DELETE FROM notes")
    deployed.run("DELETE FROM cases WHERE id = %s", planted.plain)
    done = pims(*DIFF, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 3
    assert (found["clinic"], found["mode"], found["layout"]) == ("riverbend", "shadow", "deployed")
    assert (found["differences"], found["byKind"]["missing_there"]) == (1, 1)
    missing = next(each for each in found["found"] if each["kind"] == "missing_there")
    assert (missing["appointmentId"], missing["caseId"]) == ("1", str(planted.plain))
    assert missing["theirCaseId"] is None
    assert found["syncedHere"] is False
    assert not any(word in done.output for word in PEOPLE)


@pytest.mark.usefixtures("planted")
def test_the_last_comparison_is_shown_by_status(pims: Pims) -> None:
    pims(*DIFF)
    status = document(pims("adopt", "status", "--json"))
    assert status["clinics"][0]["lastDiff"]["byKind"] == {"duplicate_there": 1}
    # It was not synced here yet.
    assert "UTC: does not agree; " in pims("adopt", "status").output


@pytest.mark.usefixtures("planted")
def test_wrong_dates_are_refused(pims: Pims, engine: Engine) -> None:
    before = everything(engine)
    refused = pims(*DIFF, "--from=2026-03-29", "--to=2026-03-28")
    assert refused.exit_code == 2
    assert "before it starts" in error_line(refused)
    assert everything(engine) == before


def test_a_clinic_that_was_not_adopted_has_nothing_to_compare(pims: Pims, registered: str) -> None:
    assert "was not adopted" in error_line(pims("adopt", "diff", f"--clinic={registered}"))


def test_an_unknown_clinic_is_a_wrong_argument(pims: Pims) -> None:
    assert pims("adopt", "diff", "--clinic=nowhere").exit_code == 2
