"""What IDEXX Neo's parsers report as seen, also of what they refuse."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.shapes import Shapes, named
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.dictionary import parse_profile
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing, parse_lookup
from pims_pipeline.providers.port import ContractViolation

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = DateRange(date(2026, 3, 4), date(2026, 3, 4))
RECORD = {"id": 7, "start": "2026-03-04 09:00:00", "consultation_id": 9, "patientName": "Rex"}


def paths(shapes: Shapes) -> list[str]:
    return [f"{each.path} {each.json_type}" for each in shapes]


def listed(body: object) -> list[str]:
    snapshot = parse_listing(json.dumps(body), window=DAY, zone=ZONE, fetched_at=NOW)
    return paths(snapshot.shapes)


def looked_up(body: object) -> list[str]:
    return paths(parse_lookup(json.dumps(body), appointment_id="7", zone=ZONE, asked_at=NOW).shapes)


def consulted(body: object) -> list[str]:
    [appointment] = parse_listing(
        json.dumps([RECORD]), window=DAY, zone=ZONE, fetched_at=NOW
    ).appointments
    found = parse_consultation(json.dumps(body), appointment=appointment)
    return paths(found.shapes) if found else []


def test_the_dictionary_has_its_shapes_and_none_of_its_keys() -> None:
    rooms = {"appointmentRooms": [{"id": 1, "name": "Room"}], "colors": {"vet@example.test": "red"}}
    found = named(parse_profile(json.dumps(rooms)).shapes)
    assert "dictionary.appointmentRooms[].name string" in paths(found)
    assert not any("example" in each for each in paths(found))
    with pytest.raises(ContractViolation) as refused:
        parse_profile("[]")
    assert paths(refused.value.shapes) == ["dictionary array"]


def test_each_response_has_its_shapes() -> None:
    assert listed([RECORD])[2:] == [
        "listing[].consultation_id number",
        "listing[].id number",
        "listing[].patientName string",
        "listing[].start string",
    ]
    assert listed({"events": []}) == ["listing object", "listing.events array"]
    assert looked_up({"appointment": None}) == ["lookup object", "lookup.appointment null"]
    assert looked_up({"appointment": {"id": 7, "deleted": True}})[2:] == [
        "lookup.appointment.deleted boolean",
        "lookup.appointment.id number",
    ]
    assert consulted({"consultation": {"id": 9}}) == [
        "consultation object",
        "consultation.consultation object",
        "consultation.consultation.id number",
    ]


@pytest.mark.parametrize(
    ("parse", "body", "shown"),
    [
        (listed, {"data": 1}, ["listing object", "listing.data number"]),
        (listed, "no", ["listing string"]),
        (looked_up, {"id": 7}, ["lookup object", "lookup.id number"]),
        (consulted, [], ["consultation array"]),
        (
            consulted,
            {"consultation": {"id": []}},
            [
                "consultation object",
                "consultation.consultation object",
                "consultation.consultation.id array",
            ],
        ),
    ],
)
def test_a_response_that_is_refused_has_its_shapes_too(
    parse: Callable[[object], list[str]], body: object, shown: list[str]
) -> None:
    with pytest.raises(ContractViolation) as raised:
        parse(body)
    assert paths(raised.value.shapes) == shown


def test_what_is_no_json_has_none() -> None:
    with pytest.raises(ContractViolation) as raised:
        parse_listing(b"<html>", window=DAY, zone=ZONE, fetched_at=NOW)
    assert raised.value.shapes == ()
