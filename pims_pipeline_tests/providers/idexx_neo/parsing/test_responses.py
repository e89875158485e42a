"""The vendor's answers as domain values, field by field. All records are made up."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, RecordKind, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.oddities import FieldOddity
from pims_pipeline.providers.idexx_neo.parsing.fields import MAX_ITEMS, MAX_WORDS_LENGTH
from pims_pipeline.providers.idexx_neo.parsing.markup import MAX_TEXT, was_cut
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    parse_consultation,
    parse_listing,
    parse_lookup,
)
from pims_pipeline.providers.port import ContractViolation

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY, DAY)
FETCHED_AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def record(**fields: Json) -> dict[str, Json]:
    return {
        "id": 7,
        "start": "2026-03-04 09:00:00",
        "end": "2026-03-04 09:30:00",
        "current_status": "Confirmed",
        "is_block": False,
        "is_roster": 0,
        **fields,
    }


def listing(*records: Json, window: DateRange = WINDOW, zone: ZoneInfo = NEW_YORK) -> Snapshot:
    return parse_listing(json.dumps(list(records)), window=window, zone=zone, fetched_at=FETCHED_AT)


def only(*records: Json, window: DateRange = WINDOW) -> PimsAppointment:
    snapshot = listing(*records, window=window)
    assert snapshot.quarantined == ()
    (appointment,) = snapshot.appointments
    return appointment


@pytest.mark.parametrize("key", ["appointments", "data", "events"])
def test_a_listing_may_stand_under_any_of_its_keys(key: str) -> None:
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
def test_the_most_telling_status_wins(fields: dict[str, Json], status: str) -> None:
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


NO_IDENTITY: list[Json] = [None, 0, 0.0, "0", "", " \t", " 0 ", False, [], {}]


@pytest.mark.parametrize("none", NO_IDENTITY)
def test_id_stands_in_for_an_appointment_id_that_names_nothing(none: Json) -> None:
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


def test_unknown_fields_are_ignored() -> None:
    assert only(record(backgroundColor={"a": [1]}, editable=None)) == only(record())


def lookup_body(**fields: Json) -> str:
    appointment = {
        "id": "7",
        "status": "not arrived",
        "startAtLocal": "2026-03-04 09:00:00",
        "endAtLocal": "2026-03-04 09:30:00",
        "deleted": False,
        "block": False,
        **fields,
    }
    return json.dumps({"appointment": appointment})


def test_a_look_up_tells_where_an_appointment_stands() -> None:
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
def test_a_look_up_tells_a_slot_from_an_appointment(
    fields: dict[str, Json], kind: RecordKind
) -> None:
    body = lookup_body(**fields)
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert found.kind is kind
    assert not found.exists


def test_a_look_up_tells_of_deletion() -> None:
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


def test_a_look_up_of_what_was_cancelled_and_kept_stands() -> None:
    body = lookup_body(status="Cancelled", cancelledReason="Owner cancelled by phone")
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.exists, found.status) == (True, "Cancelled")


@pytest.mark.parametrize("end", ["0000-00-00 00:00:00", "2026-03-04 09:00:00", [], False])
def test_a_looked_up_end_that_cannot_be_read_is_none_and_counted(end: Json) -> None:
    body = lookup_body(endAtLocal=end)
    found = parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)
    assert (found.exists, found.scheduled_end) == (True, None)
    assert [odd.path for odd in found.oddities] == ["appointment.endAtLocal"]


def test_a_look_up_of_nothing_is_not_found() -> None:
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
def test_an_odd_look_up_concludes_nothing(body: bytes | str) -> None:
    with pytest.raises(ContractViolation):
        parse_lookup(body, appointment_id="7", zone=NEW_YORK, asked_at=FETCHED_AT)


APPOINTMENT = PimsAppointment(
    appointment_id="7",
    consultation_id="55",
    scheduled_start=datetime(2026, 3, 4, 14, tzinfo=UTC),
    scheduled_end=datetime(2026, 3, 4, 14, 30, tzinfo=UTC),
    business_date=DAY,
)


def consultation(
    consultation_fields: dict[str, Json] | None = None, **parts: Json
) -> PimsConsultation:
    body: dict[str, Json] = {
        "consultation": {"id": 55, "status": "Finalized", **(consultation_fields or {})},
        **parts,
    }
    found = parse_consultation(json.dumps(body), appointment=APPOINTMENT)
    assert found is not None
    return found


def test_a_bare_record_is_a_consultation() -> None:
    found = consultation()
    assert (found.appointment_id, found.consultation_id, found.status) == ("7", "55", "Finalized")
    assert (found.notes, found.soap_notes, found.vitals) == (None, None, None)
    assert (found.diagnoses, found.treatments, found.declined_treatments) == ((), (), ())
    assert found.patient is None


def test_notes_become_text_and_are_split_on_their_headings() -> None:
    found = consultation(
        {"notes": "Owner will phone."},
        consultationNotes={"notes": "<p>S: limping</p><p>O: sore &amp; warm</p><p>P: rest</p>"},
    )
    assert found.notes == "S: limping\nO: sore & warm\nP: rest\n\nOwner will phone."
    assert found.soap_notes is not None
    assert found.soap_notes.objective == "sore & warm"
    assert found.soap_notes.plan == "rest"


def test_the_same_words_twice_are_kept_once() -> None:
    found = consultation({"notes": "Well."}, consultationNotes={"notes": "<p>Well.</p>"})
    assert found.notes == "Well."


def test_vital_signs_in_words_end_the_notes() -> None:
    found = consultation(
        consultationNotes={"notes": "<p>Well.</p>"},
        vitalSignGroup=[
            {"name": "Weight", "value": "too lively"},
            {"name": "Pulse", "value": "96", "unit": "bpm"},
        ],
    )
    assert found.notes == "Well.\n\nVital signs noted in words: Weight: too lively"
    assert found.vitals is not None
    assert found.vitals.pulse_bpm is not None
    assert found.vitals.pulse_bpm.value == 96


def test_lines_are_told_by_whether_the_client_declined_them() -> None:
    found = consultation(
        consultationLines=[
            {"id": 1, "productService": "Exam", "quantity": 1, "isDeclined": False},
            {"id": 2, "productService": {"name": "Meloxicam"}, "quantity": "7", "isDeclined": "0"},
            {"id": 3, "productService": "Dental X-ray", "quantity": None, "isDeclined": 1},
            {"id": 4, "productService": None, "quantity": 1, "isDeclined": 0},
        ]
    )
    assert found.treatments == ("Exam", "Meloxicam × 7")
    assert found.declined_treatments == ("Dental X-ray",)


def test_diagnoses_come_in_two_shapes() -> None:
    found = consultation(
        diagnoses=["Otitis", {"name": "Otitis"}, {"name": "Sprain", "code": "S93"}, {"code": "X"}]
    )
    assert found.diagnoses == ("Otitis", "Sprain (S93)", "X")


@pytest.mark.parametrize("species", ["Canine", {"id": 1, "name": "Canine"}])
def test_species_is_a_word_or_an_object(species: Json) -> None:
    found = consultation(patient={"id": 3, "name": "Bella", "species": species, "breed": None})
    assert found.patient is not None
    assert (found.patient.id, found.patient.species, found.patient.breed) == ("3", "Canine", None)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-03-03 09:00:00", date(2026, 3, 3)),
        ("2026-03-03", date(2026, 3, 3)),
        ("2026-03-05T03:00:00Z", DAY),
        (None, None),
    ],
)
def test_the_date_is_the_clinics(written: str | None, day: date | None) -> None:
    assert consultation({"date": written}).consultation_date == day


def test_discharge_and_reason_are_text() -> None:
    found = consultation({"dischargeSummary": "<ul><li>Rest</li><li>Food</li></ul>", "reason": ""})
    assert found.discharge_instructions == "Rest\nFood"
    assert found.reason is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"consultation": null}',
        b'{"consultation": {}}',
        b'{"consultation": {"id": 56}}',
        b'{"consultation": {"id": 0}}',
        b'{"consultation": {"id": ["Bella"]}}',
        b'{"consultation": "Bella"}',
    ],
)
def test_an_odd_consultation_is_refused_without_its_content(body: bytes) -> None:
    with pytest.raises(ContractViolation) as raised:
        parse_consultation(body, appointment=APPOINTMENT)
    assert "Bella" not in str(raised.value)


@pytest.mark.parametrize(
    ("odd", "path"),
    [
        ({"consultationNotes": []}, "consultation.consultationNotes array"),
        ({"diagnoses": "0"}, None),
        ({"diagnoses": {"Bella": 1}}, "consultation.diagnoses object"),
        ({"diagnoses": [["Bella"]]}, "consultation.diagnoses[] array"),
        ({"consultationLines": {"Bella": 1}}, "consultation.consultationLines object"),
        ({"consultationLines": ["Bella"]}, "consultation.consultationLines[] string"),
        ({"vitalSignGroup": "Bella"}, "consultation.vitalSignGroup string"),
        ({"vitalSignGroup": ["Bella"]}, "consultation.vitalSignGroup[] string"),
        ({"vitalSignGroup": {"weight": []}}, "consultation.vitalSignGroup.weight array"),
        ({"patient": "Bella"}, "consultation.patient string"),
        ({"consultation": {"id": 55, "date": "Bella"}}, "consultation.consultation.date string"),
        (
            {"consultation": {"id": 55, "date": "0000-00-00 00:00:00"}},
            "consultation.consultation.date string",
        ),
    ],
)
def test_a_consultation_stands_whatever_describes_it_oddly(
    odd: dict[str, Json], path: str | None
) -> None:
    whole: dict[str, Json] = {
        "consultation": {"id": 55, "notes": "Owner will phone."},
        "consultationNotes": {"notes": "Well."},
        "vitalSignGroup": [{"name": "Pulse", "value": 96}],
        **odd,
    }
    found = parse_consultation(json.dumps(whole), appointment=APPOINTMENT)
    assert found is not None
    assert found.consultation_id == "55"
    if path is not None:
        assert [f"{each.path} {each.json_type}" for each in found.oddities] == [path]
    assert "Bella" not in repr(found.oddities)
    if "consultationNotes" not in odd:
        assert "Well." in (found.notes or "")


def test_lists_with_gaps_and_single_items_of_a_consultation_are_read() -> None:
    found = consultation(
        consultationLines={"0": {"productService": "Exam"}, "2": {"productService": "X-ray"}},
        diagnoses={"name": "Otitis", "code": "H60"},
        vitalSignGroup={"1": {"name": "Pulse", "value": 96}, "3": []},
    )
    assert found.treatments == ("Exam", "X-ray")
    assert found.diagnoses == ("Otitis (H60)",)
    assert found.vitals is not None
    assert found.vitals.pulse_bpm is not None


def test_a_consultation_of_another_date_is_another_occurrences() -> None:
    occurrence = replace(APPOINTMENT, appointment_id="7@2026-03-04T09:00", series_id="7")
    dates = {"2026-03-04 09:00:00": True, "2026-03-11 09:00:00": False, "": True}
    for written, is_own in dates.items():
        body = json.dumps({"consultation": {"id": 55, "date": written}})
        assert (parse_consultation(body, appointment=occurrence) is not None) is is_own


def test_a_text_without_measure_is_cut_off_and_counted() -> None:
    found = consultation(
        {"status": "s" * 1_000_000, "notes": "n" * 1_000_000},
        consultationLines=[{"productService": "p" * 3_000}] * 1_500,
    )
    assert len(found.status or "") == MAX_WORDS_LENGTH + 1
    assert len(found.notes or "") < MAX_TEXT + 100
    assert was_cut(found.notes)
    assert len(found.treatments) == MAX_ITEMS
    assert {each.path for each in found.oddities} == {
        "consultation.consultation.status",
        "consultation.consultation.notes",
        "consultation.consultationLines",
        "consultation.consultationLines[].productService",
    }


def test_a_name_without_measure_does_not_cost_its_appointment() -> None:
    snapshot = listing(record(patient_name="n" * 1_000_000))
    [appointment] = snapshot.appointments
    assert appointment.patient.name == "n" * MAX_WORDS_LENGTH + "…"
    assert [each.path for each in snapshot.oddities] == ["listing.patient_name"]
