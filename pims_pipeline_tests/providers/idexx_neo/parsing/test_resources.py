"""The room, column and provider of a record, and the clinic's dictionary of them."""

import json
from dataclasses import replace

import pytest

from pims_pipeline.domain.records.profiles import AppointmentType, ClinicProfile
from pims_pipeline.domain.records.resources import Resource, ResourceKind
from pims_pipeline.providers.idexx_neo.parsing.dictionary import (
    needs_providers,
    parse_dictionary,
    parse_profile,
    with_providers,
)
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_lookup
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline_tests.providers.idexx_neo.parsing.vendor_responses import (
    FETCHED_AT,
    NEW_YORK,
    Json,
    listing,
    lookup_body,
    only,
    record,
)

ROOM, COLUMN, PROVIDER = ResourceKind


@pytest.mark.parametrize("identity", [11, "11", " 11 ", 11.0, {"id": "11", "name": "Room 1"}])
def test_a_room_is_the_same_as_number_as_text_and_under_another_name(identity: Json) -> None:
    names: list[Json] = ["Room 1", "Renamed", None, []]
    for name in names:
        found = only(record(appointment_room_id=identity, appointment_room_name=name))
        assert found.resources == ("room:11",)


@pytest.mark.parametrize(
    ("fields", "resources"),
    [
        ({}, ()),
        ({"appointment_room_id": None, "resourceId": 0, "provider": ""}, ()),
        ({"appointment_room_id": [], "provider": [], "appointment_room_name": False}, ()),
        ({"appointment_room_id": 11, "resourceId": 3}, ("room:11", "column:3")),
        # There is one, and it is unknown which.
        ({"appointment_room_name": "Room 1"}, ("room:?",)),
        ({"appointment_room_id": ["11"]}, ("room:?",)),
        ({"provider": "Dr. Fenwick"}, ("provider:?",)),
        ({"provider": {"name": "Dr. Fenwick"}}, ("provider:?",)),
        ({"provider": {"id": 3, "name": "Dr. Fenwick"}}, ("provider:3",)),
        ({"provider": "Dr. Fenwick", "provider_id": "3"}, ("provider:3",)),
        ({"provider": "Dr. Fenwick", "providerId": 3}, ("provider:3",)),
        ({"provider": 3}, ("provider:3",)),
    ],
)
def test_resources_are_named_by_kind_and_id(
    fields: dict[str, Json], resources: tuple[str, ...]
) -> None:
    assert only(record(**fields)).resources == resources


def test_an_odd_room_is_counted_and_keeps_the_record() -> None:
    snapshot = listing(record(appointment_room_id={"id": []}), record(id=8, resourceId=[1]))
    assert [each.resources for each in snapshot.appointments] == [(), ("column:?",)]
    assert [(odd.path, odd.json_type) for odd in snapshot.oddities] == [
        ("listing.resource_id", "array")
    ]


def test_resources_change_no_digest() -> None:
    from pims_pipeline.domain.records.appointments import appointment_json  # noqa: PLC0415

    bare = only(record())
    assert appointment_json(bare) == appointment_json(replace(bare, resources=("room:11",)))


@pytest.mark.parametrize(
    ("fields", "resources"),
    [
        ({}, ()),
        ({"appointmentRoom": None, "provider": []}, ()),
        (
            {"appointmentRoom": {"id": "11", "name": "x"}, "provider": {"id": 3, "name": "y"}},
            ("room:11", "provider:3"),
        ),
        ({"appointmentRoom": {"name": "x"}}, ()),
        ({"appointmentRoom": {"id": [5]}}, ("room:?",)),
    ],
)
def test_a_lookup_has_its_resources_as_objects(
    fields: dict[str, Json], resources: tuple[str, ...]
) -> None:
    found = parse_lookup(
        lookup_body(**fields), appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT
    )
    assert found.resources == resources


def dictionary(**fields: Json) -> tuple[Resource, ...]:
    return parse_dictionary(json.dumps(fields))


def test_the_dictionary_has_each_resource_once_and_skips_what_has_no_id() -> None:
    found = dictionary(
        slotInterval=15,
        appointmentRooms=[
            {"id": "11", "name": "Room 1"},
            {"id": 11, "name": "again"},
            {"id": 0, "name": "none"},
            {"name": "no id"},
            "odd",
        ],
        providers={"0": {"id": 1, "name": "Ada"}, "2": {"id": 2, "name": None}},
        resources=[{"id": 1, "title": "Ada's column"}],
    )
    assert found == (
        Resource(ROOM, "11", "Room 1"),
        Resource(COLUMN, "1", "Ada's column"),
        Resource(PROVIDER, "1", "Ada"),
        Resource(PROVIDER, "2", ""),
    )


def test_a_profile_has_each_type_once_and_says_nothing_of_zones_and_statuses() -> None:
    body = {
        "appointmentTypes": [
            {"id": "7", "name": "Vax", "duration": 15},
            {"id": 8, "name": "Vax"},
            {"name": "Recheck"},
            {"id": 9, "name": " "},
            "odd",
        ],
        "appointmentRooms": [{"id": 11, "name": "Room 1"}],
    }
    assert parse_profile(json.dumps(body)) == ClinicProfile(
        types=(AppointmentType(name="Vax", id="7"), AppointmentType(name="Recheck")),
        resources=(Resource(ROOM, "11", "Room 1"),),
    )
    assert parse_profile('{"providers": []}').types is None
    assert parse_profile('{"providers": [], "appointmentTypes": {"x": 1}}').types == ()


def test_an_empty_dictionary_is_one() -> None:
    assert dictionary(appointmentRooms=[], providers=[]) == ()


@pytest.mark.parametrize("body", ["[]", "{}", '{"appointments": []}', "not JSON", "null"])
def test_anything_else_is_no_dictionary(body: str) -> None:
    with pytest.raises(ContractViolation, match="the calendar's rooms and providers"):
        parse_dictionary(body)


def test_providers_get_the_ids_of_their_names_where_one_has_it() -> None:
    known = dictionary(
        providers=[
            {"id": 1, "name": "Ada"},
            {"id": 2, "name": "Tom"},
            {"id": 3, "name": "Tom"},
        ]
    )
    snapshot = listing(
        record(id=1, provider="Ada", appointment_room_id=11),
        record(id=2, provider="Tom"),
        record(id=3, provider={"id": 9, "name": "Eve"}),
        record(id=4),
    )
    assert needs_providers(snapshot)
    named = with_providers(snapshot, known)
    assert [each.resources for each in named.appointments] == [
        ("room:11", "provider:1"),
        ("provider:?",),
        ("provider:9",),
        (),
    ]
    assert not needs_providers(listing(record(provider=3)))
