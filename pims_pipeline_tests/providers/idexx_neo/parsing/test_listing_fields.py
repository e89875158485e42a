"""The fields of one record in a listing."""

import json
from datetime import UTC, date, datetime

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.domain.records.oddities import FieldOddity
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    parse_listing,
)
from pims_pipeline.providers.parsing.fields import MAX_WORDS_LENGTH
from pims_pipeline_tests.providers.idexx_neo.parsing.vendor_responses import (
    DAY,
    FETCHED_AT,
    NEW_YORK,
    WINDOW,
    Json,
    listing,
    only,
    record,
)


@pytest.mark.parametrize("identity", [7, "7", " 7 ", 7.0])
def test_an_identity_is_the_same_as_number_and_as_text(identity: Json) -> None:
    assert only(record(id=identity)).appointment_id == "7"


def test_the_appointments_own_identity_wins_over_the_events() -> None:
    assert only(record(id="event-1", appointment_id=9)).appointment_id == "9"
    assert only(record(id=8, appointment_id=None)).appointment_id == "8"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"current_status": "In Progress", "status_label": "x"}, "In Progress"),
        ({"current_status": "", "status_label": "Label", "confirmed_status": "x"}, "Label"),
        ({"current_status": None, "confirmed_status": "confirmed"}, "confirmed"),
        ({"current_status": None}, ""),
    ],
)
def test_the_most_specific_status_wins(fields: dict[str, Json], status: str) -> None:
    assert only(record(**fields)).status == status


@pytest.mark.parametrize("yes", [True, 1, "1", "true", "True", 1.0, "Y", "yes", " ON ", "t"])
def test_a_flag_is_set_in_every_shape(yes: Json) -> None:
    assert only(record(is_block=yes)).kind is RecordKind.BLOCK
    assert only(record(is_roster=yes)).kind is RecordKind.ROSTER


@pytest.mark.parametrize("no", [False, 0, "0", "false", "", None, "N", "no", "Off", "f", [], {}])
def test_a_flag_is_clear_in_every_shape(no: Json) -> None:
    assert only(record(is_block=no, is_roster=no)).kind is RecordKind.APPOINTMENT


def test_wall_clock_times_are_the_clinics() -> None:
    found = only(record(start="2026-03-04 23:30:00", end="2026-03-05 00:15:00"))
    assert found.scheduled_start == datetime(2026, 3, 5, 4, 30, tzinfo=UTC)
    assert found.scheduled_end == datetime(2026, 3, 5, 5, 15, tzinfo=UTC)
    assert found.business_date == DAY


def test_clock_changes_follow_the_domains_rules() -> None:
    spring = only(
        record(start="2026-03-08 02:30:00", end=None),
        window=DateRange(date(2026, 3, 8), date(2026, 3, 8)),
    )
    autumn = only(
        record(start="2026-11-01 01:30:00", end=None),
        window=DateRange(date(2026, 11, 1), date(2026, 11, 1)),
    )
    assert spring.scheduled_start == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert autumn.scheduled_start == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_time_with_an_offset_is_taken_at_its_word() -> None:
    found = only(record(start="2026-03-04T15:00:00Z", end=None))
    assert found.scheduled_start == datetime(2026, 3, 4, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (None, "null"),
        ("", "string"),
        ("soon", "string"),
        ("2026-03-04 08:00:00", "string"),
        ("2026-03-04 09:00:00", "string"),
        ("0000-00-00 00:00:00", "string"),
        ("2026-02-31 09:00:00", "string"),
        ("9999-12-31 24:00:00", "string"),
        (5, "number"),
        ([], "array"),
    ],
)
def test_an_appointment_without_a_sound_end_ends_when_it_starts_and_is_reported(
    end: Json, kind: str
) -> None:
    snapshot = listing(record(end=end))
    (found,) = snapshot.appointments
    assert found.scheduled_end == found.scheduled_start
    assert snapshot.oddities == (FieldOddity("listing.end", kind, 1),)


@pytest.mark.parametrize(
    "end",
    ["2026-03-04 24:00:00", "2026-03-04T24:00", "2026-03-05 00:00:00", "2026-03-04T24:00:00-05:00"],
)
def test_an_end_at_24_hours_is_the_next_days_midnight(end: str) -> None:
    snapshot = listing(record(start="2026-03-04 23:00:00", end=end))
    (found,) = snapshot.appointments
    assert found.scheduled_end == datetime(2026, 3, 5, 5, tzinfo=UTC)
    assert snapshot.oddities == ()


def test_people_and_places_are_read() -> None:
    found = only(
        record(
            consultation_id=55,
            patient_id=3,
            patient_name=" Bella ",
            client_id="4",
            first_name="Ana",
            last_name=" Ruiz ",
            email="",
            phone_number="555-0100",
            provider="Dr. Example",
            appointment_room_name="Room 2",
            type_description="Dental - Surgery",
            reason="Limping",
            title="Bella - Dental",
            last_updated_at="2026-03-03 10:00:00",
        )
    )
    assert (found.consultation_id, found.patient.id, found.patient.name) == ("55", "3", "Bella")
    assert (found.client.id, found.client.name) == ("4", "Ana Ruiz")
    assert (found.client.phone, found.client.email) == ("555-0100", None)
    assert (found.provider, found.room) == ("Dr. Example", "Room 2")
    assert (found.appointment_type, found.reason) == ("Dental - Surgery", "Limping")
    assert found.vendor_updated_at == datetime(2026, 3, 3, 15, tzinfo=UTC)


def test_missing_people_are_empty() -> None:
    found = only(record(first_name=None, last_name=None, patient_name=None))
    assert found.patient.name == ""
    assert found.client.name == ""
    assert found.reason is None


def test_only_a_blocks_title_is_its_reason() -> None:
    assert only(record(is_block=1, title="Lunch")).reason == "Lunch"
    assert only(record(title="Bella - Exam")).reason is None


def test_what_the_database_cannot_store_is_replaced() -> None:
    found = only(record(patient_name="Re\0x \ud83d", reason="\0"))
    assert found.patient.name == "Rex \N{REPLACEMENT CHARACTER}"
    assert found.reason is None
    found.patient.name.encode()


def test_names_in_any_script_survive() -> None:
    assert only(record(patient_name="Мурка 🐈 ねこ")).patient.name == "Мурка 🐈 ねこ"


def test_a_listing_may_be_in_camel_case_with_iso_times() -> None:
    found = only(
        {
            "appointmentId": 0,
            "id": "9",
            "start": "2026-03-04T09:00:00",
            "end": "2026-03-04T09:30:00",
            "patientId": 3,
            "patientName": "Bella",
            "firstName": "Ana",
            "lastName": "Ruiz",
            "status": "In Progress",
            "confirmedStatus": "confirmed",
            "isBlock": False,
            "consultationId": 55,
            "lastUpdatedAt": "2026-03-03T10:00:00",
        }
    )
    assert (found.appointment_id, found.consultation_id, found.status) == ("9", "55", "In Progress")
    assert (found.patient.id, found.patient.name, found.client.name) == ("3", "Bella", "Ana Ruiz")
    assert found.scheduled_end == datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
    assert found.vendor_updated_at == datetime(2026, 3, 3, 15, tzinfo=UTC)
    assert only({"isBlock": "Y", "id": 1, "start": "2026-03-04T09:00"}).kind is RecordKind.BLOCK


def test_a_list_with_gaps_is_a_list() -> None:
    snapshot = parse_listing(
        json.dumps({"data": {"10": record(id=3), "2": record(id=2), "0": record(id=1)}}),
        window=WINDOW,
        zone=NEW_YORK,
        fetched_at=FETCHED_AT,
    )
    assert [found.appointment_id for found in snapshot.appointments] == ["1", "2", "3"]


def test_unknown_fields_are_ignored() -> None:
    assert only(record(backgroundColor={"a": [1]}, editable=None)) == only(record())


def test_an_excessive_name_does_not_cost_its_appointment() -> None:
    snapshot = listing(record(patient_name="n" * 1_000_000))
    [appointment] = snapshot.appointments
    assert appointment.patient.name == "n" * MAX_WORDS_LENGTH + "…"
    assert [each.path for each in snapshot.oddities] == ["listing.patient_name"]
