"""A listing as a whole: identities, occurrences, duplicates and unreadable records."""

import json
from datetime import UTC, date, datetime

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.oddities import FieldOddity
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    parse_listing,
)
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline_tests.providers.idexx_neo.parsing.vendor_responses import (
    FETCHED_AT,
    NEW_YORK,
    NO_IDENTITY,
    WINDOW,
    Json,
    consultation,
    listing,
    only,
    record,
)


@pytest.mark.parametrize("key", ["appointments", "data", "events"])
def test_a_listing_may_be_under_any_of_its_keys(key: str) -> None:
    body = json.dumps({key: [record()], "count": 1}).encode()
    snapshot = parse_listing(body, window=WINDOW, zone=NEW_YORK, fetched_at=FETCHED_AT)
    assert [found.appointment_id for found in snapshot.appointments] == ["7"]
    assert snapshot.complete
    assert snapshot.fetched_at == FETCHED_AT


def test_an_empty_list_is_an_empty_calendar() -> None:
    assert listing().appointments == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b'"appointments"',
        b"<html><body>Sign in</body></html>",
        b'[{"id": 1, "start": "2026-03-04',
        b"\xff\xfe[",
        b"{}",
        b'{"appointments": null}',
        b'{"appointments": {"id": 1}}',
        b'{"error": "Unauthenticated."}',
        b'{"error": "broken", "data": []}',
        b'{"success": false, "data": []}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_never_an_empty_calendar(body: bytes) -> None:
    with pytest.raises(ContractViolation):
        parse_listing(body, window=WINDOW, zone=NEW_YORK, fetched_at=FETCHED_AT)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"start": None}, "field 'start' is missing"),
        ({"start": "Bella at nine"}, "field 'start' is not a date and time (YYYY-MM-DD HH:MM:SS)"),
        ({"start": "2026-02-30 09:00:00"}, "field 'start' is not a date and time that exists"),
        ({"start": "2026-03-04 24:00:00"}, "field 'start' is not a date and time that exists"),
        ({"start": "0000-00-00 00:00:00"}, "field 'start' is not a date and time that exists"),
        ({"start": []}, "field 'start' is not a date and time (YYYY-MM-DD HH:MM:SS)"),
        ({"is_block": "Bella"}, "field 'is_block' is not a yes-or-no value"),
        ({"is_roster": 2}, "field 'is_roster' is not a yes-or-no value"),
        ({"is_block": True, "is_roster": ["Bella"]}, "field 'is_roster' is not a yes-or-no value"),
    ],
)
def test_an_unreadable_record_is_quarantined_without_its_content(
    broken: dict[str, Json], problem: str
) -> None:
    snapshot = listing(record(id=1), record(id=2, **broken), record(id=3))
    (quarantined,) = snapshot.quarantined
    assert {found.appointment_id for found in snapshot.appointments} == {"1", "3"}
    assert (quarantined.pims_id, quarantined.record_key) == ("2", "2")
    assert quarantined.error_message == problem
    assert not snapshot.hides_identities


@pytest.mark.parametrize("none", NO_IDENTITY)
def test_id_replaces_an_appointment_id_that_names_nothing(none: Json) -> None:
    found = listing(*(record(id=number, appointment_id=none) for number in (1001, 1002, 1003)))
    assert [each.appointment_id for each in found.appointments] == ["1001", "1002", "1003"]


@pytest.mark.parametrize("none", NO_IDENTITY)
def test_what_names_nothing_is_no_identity_in_any_field(none: Json) -> None:
    found = only(record(consultation_id=none, patient_id=none, client_id=none))
    assert (found.consultation_id, found.patient.id, found.client.id) == (None, None, None)


@pytest.mark.parametrize("same", [7, 7.0, "7", " 7 "])
def test_identities_of_patients_are_the_same_in_listing_and_consultation(same: Json) -> None:
    page = consultation(patient={"id": same})
    assert page.patient is not None
    assert (only(record(patient_id=same)).patient.id, page.patient.id) == ("7", "7")


@pytest.mark.parametrize(
    "nameless",
    [
        *({"id": none} for none in NO_IDENTITY),
        {"id": True},
        {"id": "9" * 200},
        {"id": [7]},
        {"id": {"name": "7"}},
        {"id": "7@2026-03-04T09:00"},
        {"appointment_id": True},
    ],
)
def test_a_record_without_identity_is_known_by_its_digest(nameless: dict[str, Json]) -> None:
    first, again = listing(record(**nameless)), listing(record(**nameless))
    (quarantined,) = first.quarantined
    assert quarantined.pims_id is None
    assert quarantined.record_key.startswith("sha256:")
    assert first.quarantined == again.quarantined
    assert first.hides_identities


@pytest.mark.parametrize("odd", [None, 7, "Bella", ["Bella"], True])
def test_a_record_that_is_no_object_is_quarantined(odd: Json) -> None:
    (quarantined,) = listing(odd).quarantined
    assert "Bella" not in repr(quarantined)


def test_an_unreadable_record_of_another_date_is_not_this_windows() -> None:
    snapshot = listing(record(start="2026-03-05 09:00:00", is_block="x"))
    assert snapshot.quarantined == ()


def test_records_without_identity_are_quarantined_one_by_one_however_alike() -> None:
    first, second = listing(record(id=0), record(id=0)).quarantined
    assert (first.pims_id, second.pims_id) == (None, None)
    assert first.record_key != second.record_key


def test_records_outside_the_window_are_left_out() -> None:
    snapshot = listing(record(id=1, start="2026-03-05 00:00:00"), record(id=2))
    assert [found.appointment_id for found in snapshot.appointments] == ["2"]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("2026-03-01 10:00:00", "2026-03-02 10:00:00", "second"),
        ("2026-03-02 10:00:00", "2026-03-01 10:00:00", "first"),
        ("2026-03-01 10:00:00", "2026-03-01 10:00:00", "second"),
        (None, "2026-03-01 10:00:00", "second"),
        ("2026-03-02 10:00:00", None, "second"),
        ("2026-03-02 10:00:00", "garbled", "second"),
        ("2027-03-02 10:00:00", "2026-03-01 10:00:00", "second"),
        ("2026-03-02 10:00:00", "2027-03-01 10:00:00", "second"),
        ("2026-03-05 06:00:00", "2026-03-05 05:00:00", "first"),
    ],
)
def test_of_two_records_with_one_identity_the_latest_wins(
    first: str | None, second: str | None, kept: str
) -> None:
    found = only(
        record(id=7, reason="first", last_updated_at=first),
        record(id="7", reason="second", last_updated_at=second),
    )
    assert found.reason == kept


def test_one_identity_with_two_starts_is_two_appointments() -> None:
    snapshot = listing(
        record(patient_name="first"), record(start="2026-03-04 11:00:00", patient_name="second")
    )
    assert [(each.appointment_id, each.series_id) for each in snapshot.appointments] == [
        ("7@2026-03-04T09:00", "7"),
        ("7@2026-03-04T11:00", "7"),
    ]


def test_a_series_shows_also_by_an_occurrence_outside_the_window() -> None:
    snapshot = listing(record(), record(start="2026-03-09 09:00:00"))
    assert [each.appointment_id for each in snapshot.appointments] == ["7@2026-03-04T09:00"]
    assert snapshot.elsewhere == (("7", datetime(2026, 3, 9, 13, tzinfo=UTC)),)


def test_of_an_hour_that_the_clocks_repeat_both_readings_are_occurrences() -> None:
    day = date(2026, 11, 1)
    snapshot = listing(
        record(start="2026-11-01T01:30:00-04:00"),
        record(start="2026-11-01T01:30:00-05:00"),
        window=DateRange(day, day),
    )
    assert [each.appointment_id for each in snapshot.appointments] == [
        "7@2026-11-01T01:30",
        "7@2026-11-01T01:30-05:00",
    ]


def test_what_is_odd_is_counted_by_path_and_type_for_the_records_that_are_kept() -> None:
    snapshot = listing(
        record(id=1, provider=[], phone_number={}, arrival_date_time="0000-00-00 00:00:00"),
        record(id=2, provider=["Bella"], phone_number="555"),
        record(id=3, start="2026-03-05 09:00:00", provider=[]),
        record(id=4, start=[], provider=[]),
    )
    assert [each.appointment_id for each in snapshot.appointments] == ["1", "2"]
    assert snapshot.oddities == (
        FieldOddity("listing.phone_number", "object", 1),
        FieldOddity("listing.provider", "array", 2),
    )
    assert "Bella" not in repr(snapshot.oddities)
