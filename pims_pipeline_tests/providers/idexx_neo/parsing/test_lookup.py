"""The response to a lookup of one appointment."""

from datetime import UTC, datetime

import pytest

from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    parse_lookup,
)
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline_tests.providers.idexx_neo.parsing.vendor_responses import (
    DAY,
    FETCHED_AT,
    NEW_YORK,
    Json,
    lookup_body,
)


def test_a_lookup_returns_the_status_and_times_of_an_appointment() -> None:
    found = parse_lookup(lookup_body(), appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert found.exists
    assert found.status == "not arrived"
    assert found.scheduled_start == datetime(2026, 3, 4, 14, tzinfo=UTC)
    assert found.scheduled_end == datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
    assert found.business_date == DAY
    assert found.asked_at == FETCHED_AT


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"block": 1}, RecordKind.BLOCK), ({"roster": True}, RecordKind.ROSTER)],
)
def test_a_lookup_distinguishes_a_slot_from_an_appointment(
    fields: dict[str, Json], kind: RecordKind
) -> None:
    body = lookup_body(**fields)
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert found.kind is kind
    assert not found.exists


def test_a_lookup_reports_a_deletion() -> None:
    body = lookup_body(deleted="1")
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.found, found.deleted, found.exists) == (True, True, False)


@pytest.mark.parametrize(
    "odd",
    [
        {"startAtLocal": "0000-00-00 00:00:00"},
        {"startAtLocal": "soon", "endAtLocal": [], "status": {}},
        {"startAtLocal": [], "block": "perhaps"},
        {"id": 0},
        {"id": None, "status": None},
    ],
)
def test_a_mark_of_deletion_counts_whatever_else_is_odd(odd: dict[str, Json]) -> None:
    body = lookup_body(deleted=True, **odd)
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.found, found.deleted, found.exists) == (True, True, False)


def test_a_lookup_of_a_cancelled_appointment_that_was_kept_finds_it() -> None:
    body = lookup_body(status="Cancelled", cancelledReason="Owner cancelled by phone")
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.exists, found.status) == (True, "Cancelled")


@pytest.mark.parametrize("end", ["0000-00-00 00:00:00", "2026-03-04 09:00:00", [], False])
def test_a_looked_up_end_that_cannot_be_read_is_none_and_counted(end: Json) -> None:
    body = lookup_body(endAtLocal=end)
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.exists, found.scheduled_end) == (True, None)
    assert [odd.path for odd in found.oddities] == ["appointment.endAtLocal"]


def test_a_lookup_of_nothing_is_not_found() -> None:
    body = b'{"appointment": null}'
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert not found.found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": "no"}',
        b'{"appointment": []}',
        b'{"appointment": {}}',
        lookup_body(id=8),
        lookup_body(startAtLocal="soon"),
        lookup_body(deleted="perhaps"),
        lookup_body(block="perhaps"),
        lookup_body(id=0),
        lookup_body(id=8, deleted=True),
        b'{"appointment": ""}',
        b'{"appointment": 0}',
        b"<html><h1>Not found</h1></html>",
    ],
)
def test_an_odd_lookup_violates_the_contract(body: bytes | str) -> None:
    with pytest.raises(ContractViolation):
        parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
