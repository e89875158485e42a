"""Consultations at Vetspire: unsigned, signed, corrected, and what they hold."""

from datetime import datetime, time, timedelta
from typing import Any

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.simulator.http_client import TODAY
from pims_pipeline_tests.simulator.vetspire.graphql_client import (
    CHICAGO,
    ENCOUNTER,
    Vetspire,
    instant,
)

COMPANY = CHICAGO.company_id
NINE = datetime.combine(TODAY, time(9))
CHANGED = """query ($locs: [ID!], $from: NaiveDateTime, $limit: Int, $offset: Int) {
  encounters(locationIds: $locs, updatedAtStart: $from, limit: $limit, offset: $offset) {
    id updatedAt appointment { id } } }"""


def encounter_of(juniper: Vetspire, appointment_id: str) -> dict[str, Any]:
    """The encounter that the listing names for an appointment."""
    (row,) = (each for each in juniper.day(CHICAGO, TODAY) if each["id"] == appointment_id)
    (named,) = row["encounters"]
    encounter: dict[str, Any] = juniper.ask(ENCOUNTER, id=named["id"])["encounter"]
    assert encounter["appointment"] == {"id": appointment_id}
    return encounter


def test_an_appointment_that_has_not_begun_has_no_encounter(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)

    (row,) = (each for each in juniper.day(CHICAGO, TODAY) if each["id"] == booked.id)

    assert row["encounters"] == []


def test_an_encounter_is_empty_then_written_and_signed_at_the_end(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    stages = []
    for status in ("In Progress", "Ready to Pay", "Finalized"):
        control.set_status(COMPANY, booked.id, status)
        stages.append(encounter_of(juniper, booked.id))

    assert [each["signed"] for each in stages] == [False, False, True]
    assert [each["signedDatetime"] is None for each in stages] == [True, True, False]
    assert [bool(each["plan"] or each["sections"]) for each in stages] == [False, True, True]
    assert len({each["updatedAt"] for each in stages}) == 3


def test_a_correction_shows_in_a_signed_encounter_with_a_later_time(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    control.finish(COMPANY, booked.id)
    before = encounter_of(juniper, booked.id)

    control.write_notes(COMPANY, booked.id, "<p>Corrected</p>")

    after = encounter_of(juniper, booked.id)
    assert after["signed"]
    assert after["sections"] == [
        {"name": "Notes", "data": [{"value": "<p>Corrected</p>", "label": None}]}
    ]
    assert instant(after["updatedAt"]) > instant(before["updatedAt"])
    since = instant(after["updatedAt"]).replace(tzinfo=None).isoformat()
    changed = juniper.ask(CHANGED, **{"locs": [COMPANY], "from": since})["encounters"]
    assert booked.id in {each["appointment"]["id"] for each in changed}


def test_an_encounter_stays_with_the_patient_that_it_was_written_for(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    finished = control.finish(COMPANY, booked.id)

    control.rebook(COMPANY, booked.id, patient_name="Other", consultation="same")

    assert encounter_of(juniper, booked.id)["patient"] == {"id": finished.patient_id}


def test_encounters_come_in_pages_by_their_last_change(juniper: Vetspire) -> None:
    def page(offset: int) -> list[dict[str, Any]]:
        asked = {"locs": [COMPANY], "limit": 50, "offset": offset}
        rows: list[dict[str, Any]] = juniper.ask(CHANGED, **asked)["encounters"]
        return rows

    rows = page(0) + page(50)

    times = [instant(each["updatedAt"]) for each in rows]
    assert times == sorted(times)
    assert len({each["id"] for each in rows}) == 100


def test_finished_days_have_notes_in_both_shapes_and_vitals(juniper: Vetspire) -> None:
    ids = [
        encounter["id"]
        for days in range(1, 8)
        for row in juniper.day(CHICAGO, TODAY - timedelta(days=days))
        for encounter in row["encounters"]
    ]

    encounters = [juniper.ask(ENCOUNTER, id=each)["encounter"] for each in ids]

    assert any(each["subjective"] and not each["sections"] for each in encounters)
    assert any(len(each["sections"]) == 4 and not each["plan"] for each in encounters)
    assert any(each["problems"] for each in encounters)
    assert any(each["medications"] for each in encounters)
    assert any(each["treatments"] for each in encounters)
    measured = [vitals for each in encounters for vitals in each["vitals"]]
    assert {each["weightUnit"] for each in measured} == {"lbs", "kg"}
    assert min(each["temp"] for each in measured) < 42 < max(each["temp"] for each in measured)


def test_an_encounter_that_does_not_exist_is_unknown(juniper: Vetspire) -> None:
    assert juniper.send(ENCOUNTER, id="17").json() == {
        "data": None,
        "errors": [{"message": "Encounter not found", "path": ["encounter"]}],
    }
