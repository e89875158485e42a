"""Rows of the calendar as appointments."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.domain.records.oddities import FieldOddity
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.vetspire.parsing.listing import of_location
from pims_pipeline.providers.vetspire.words import WORDS
from pims_pipeline_tests.providers.vetspire.parsing.rows import (
    FETCHED_AT,
    WINDOW,
    identities,
    only,
    read,
    row,
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DESCRIPTIVE = (
    "duration", "status", "reason", "note", "updatedAt", "provider", "encounters", "patient",
)  # fmt: skip
DECIDING = ("id", "start", "deleted", "location", "type")


def test_a_row_becomes_an_appointment() -> None:
    found = only(
        type={"id": "1", "name": "Wellness"},
        provider={"id": "5", "name": "Dr. Okafor"},
        encounters=[{"id": "900"}],
        patient={
            "id": "40",
            "name": "Bella",
            "species": "Canine",
            "breed": "Beagle",
            "client": {
                "id": "30",
                "givenName": "Sam",
                "familyName": "Lee",
                "email": "s@example.com",
            },
        },
        reason="Limping",
        note="Nervous",
        updatedAt="2026-03-01T10:00:00",
    )

    assert found.scheduled_start == datetime(2026, 3, 4, 15, tzinfo=UTC)
    assert found.scheduled_end == datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
    assert found.vendor_updated_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (found.consultation_id, found.appointment_type) == ("900", "Wellness")
    assert (found.provider, found.resources) == ("Dr. Okafor", ("provider:5",))
    assert (found.patient.id, found.patient.species) == ("40", "Canine")
    assert (found.client.name, found.client.email) == ("Sam Lee", "s@example.com")
    assert (found.reason, found.notes, found.stated_type) == ("Limping", "Nervous", None)


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2026-03-04T09:00:00-06:00", 15),
        ("2026-03-04T15:00:00Z", 15),
        ("2026-03-04T15:00:00", 15),
        ("2026-03-04 15:00:00.000000", 15),
        ("2026-03-05T04:00:00+13:00", 15),
    ],
)
def test_a_time_without_an_offset_is_utc(written: str, hour: int) -> None:
    assert only(start=written).scheduled_start == datetime(2026, 3, 4, hour, tzinfo=UTC)


def test_the_business_date_is_the_clinics() -> None:
    late = row(start="2026-03-05T05:30:00")

    found = read(late, window=DateRange(date(2026, 3, 4), date(2026, 3, 5))).records

    assert [each.business_date for each in found.appointments] == [date(2026, 3, 4)]


def test_rows_beyond_the_window_are_elsewhere() -> None:
    found = read(row(id="1", start="2026-03-05T12:00:00-06:00"), row(id="2")).records

    assert identities(found.appointments) == ["2"]
    assert identities(found.elsewhere) == ["1"]


def test_a_row_of_another_location_never_reaches_the_clinic_and_is_counted() -> None:
    found = read(row(id="1", location={"id": "8"}), row(id="2"))

    assert identities(found.records.appointments) == ["2"]
    assert found.records.quarantined == ()
    assert found.oddities == (FieldOddity("listing.location.id", "string"),)


def test_rows_of_other_locations_alone_are_no_empty_calendar() -> None:
    with pytest.raises(ContractViolation, match="no record of the requested location"):
        read(row(id="1", location={"id": "location:7"}), row(id="2", location={"id": "8"}))
    assert read(row(location={"id": "8"}), row(id="2", location=None)).records.quarantined
    assert read().records.appointments == ()


@pytest.mark.parametrize("location", [None, {}, {"id": None}, {"id": [7]}, [], "?" * 200])
def test_a_row_without_a_readable_location_is_quarantined(location: object) -> None:
    found = read(row(location=location)).records

    assert found.appointments == ()
    assert [each.pims_id for each in found.quarantined] == ["100"]


def test_only_rows_with_a_readable_location_are_of_it() -> None:
    rows = [row(id="1"), row(id="2", location={"id": "8"}), row(id="3", location=[1]), None]

    assert of_location(rows, "7") == rows[:1]


def test_a_deleted_row_is_not_in_the_calendar() -> None:
    found = read(row(deleted=True)).records

    assert (found.appointments, found.quarantined) == ((), ())


def test_of_two_rows_with_one_identity_the_later_response_counts() -> None:
    found = read(row(), row(start="2026-03-04T11:00:00-06:00")).records

    (appointment,) = found.appointments
    assert appointment.series_id is None
    assert appointment.scheduled_start == datetime(2026, 3, 4, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_id", "kind", "stated"),
    [
        ("1", RecordKind.APPOINTMENT, None),
        ("2", RecordKind.APPOINTMENT, CaseType.SURGERY),
        ("3", RecordKind.BLOCK, None),
        ("99", RecordKind.APPOINTMENT, None),
    ],
)
def test_a_types_flags_decide_before_its_name(
    type_id: str, kind: RecordKind, stated: CaseType | None
) -> None:
    found = only(type={"id": type_id, "name": "Block off for surgery"})

    assert (found.kind, found.stated_type) == (kind, stated)


@pytest.mark.parametrize("type_", [{"id": "4"}, {"id": ["1"]}, ["1"]])
def test_a_row_that_may_be_a_block_is_quarantined(type_: object) -> None:
    assert [each.pims_id for each in read(row(type=type_)).records.quarantined] == ["100"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PLANNED", CaseStatus.DRAFT),
        ("CONFIRMED", CaseStatus.DRAFT),
        ("CHECKED_IN", CaseStatus.ONGOING),
        ("Checked-in", CaseStatus.ONGOING),
        ("IN_PROGRESS", CaseStatus.ONGOING),
        ("In Progress", CaseStatus.ONGOING),
        ("CHECKING_OUT", CaseStatus.ONGOING),
        ("CHECKED_OUT", CaseStatus.COMPLETED),
        ("COMPLETED", CaseStatus.COMPLETED),
        ("CANCELLED", CaseStatus.REVIEWED),
        ("NO_SHOW", CaseStatus.REVIEWED),
        ("WAITLISTED", None),
    ],
)
def test_each_of_the_vendors_status_words_has_its_meaning(
    word: str, status: CaseStatus | None
) -> None:
    assert WORDS.status_of(only(status=word).status) is status


@pytest.mark.parametrize(
    ("numbers", "phone"),
    [
        ([{"value": "1", "preferred": False}, {"value": "2", "preferred": True}], "2"),
        ([{"value": "1", "preferred": None}, {"value": "2"}], "1"),
        ([{"value": None, "preferred": True}, {"value": "2"}], "2"),
        ([], None),
        (None, None),
        ([7, {"value": "2"}], "2"),
    ],
)
def test_the_preferred_phone_number_counts(numbers: object, phone: str | None) -> None:
    assert only(patient={"client": {"phoneNumbers": numbers}}).client.phone == phone


@pytest.mark.parametrize("duration", [None, 0, -5, "soon", [], 1e9])
def test_a_length_that_cannot_be_read_is_not_guessed(duration: object) -> None:
    found = read(row(duration=duration))

    (appointment,) = found.records.appointments
    assert appointment.scheduled_end == appointment.scheduled_start
    assert [each.path for each in found.oddities] == ["listing.duration"]


def test_of_several_consultations_the_last_one_counts() -> None:
    assert only(encounters=[{"id": "1"}, {"id": "2"}, {"id": None}]).consultation_id == "2"


@given(st.dictionaries(st.sampled_from(DESCRIPTIVE), any_json, max_size=4))
def test_no_description_costs_an_appointment(odd: dict[str, object]) -> None:
    found = read(row(**odd)).records

    assert identities(found.appointments) == ["100"]
    assert found.quarantined == ()


@given(st.sampled_from(DECIDING), any_json)
def test_what_decides_is_read_or_quarantined(name: str, odd: object) -> None:
    # Rows of other locations alone are refused.
    found = read(row(), row(**{"id": "101", name: odd})).records

    kept = (*found.appointments, *found.quarantined, *found.elsewhere, *found.outside)
    if name not in {"deleted", "location"}:
        # Either identity may be the other's.
        assert len(kept) >= (1 if name == "id" else 2)


@given(st.lists(any_json | st.dictionaries(st.sampled_from(DECIDING), any_json), max_size=5))
def test_any_rows_can_be_read(rows: list[object]) -> None:
    for each in read(row(), *rows, window=WINDOW).records.appointments:
        assert each.business_date in WINDOW
        assert each.vendor_updated_at is None or each.vendor_updated_at <= FETCHED_AT
