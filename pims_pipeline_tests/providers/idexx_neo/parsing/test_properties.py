"""What holds for any response of the vendor."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.listing import sort_records
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing, parse_lookup
from pims_pipeline.providers.idexx_neo.parsing.vitals import read_vitals
from pims_pipeline.providers.parsing.fields import storable
from pims_pipeline.providers.parsing.markup import plain_text
from pims_pipeline.providers.parsing.measurements import quantities
from pims_pipeline.providers.port import ContractViolation

ZONE = ZoneInfo("Europe/London")
WINDOW = DateRange(date(2026, 3, 1), date(2026, 3, 31))
NOW = datetime(2026, 3, 4, tzinfo=UTC)
APPOINTMENT = PimsAppointment(
    appointment_id="7",
    consultation_id="55",
    scheduled_start=NOW,
    scheduled_end=NOW,
    business_date=date(2026, 3, 4),
)

any_text = st.text(alphabet=st.characters(codec=None))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.just(10**400)
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
moments = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"))
near = st.datetimes(datetime(2026, 2, 20), datetime(2026, 4, 10)).map(str)  # noqa: DTZ001 - wall-clock times


def object_with(fields: list[str], usual: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, usual | any_json))


records = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 5) | st.sampled_from(["1", "2", " 3 "]) | any_json,
        "appointment_id": st.none() | st.integers(0, 5) | any_json,
        "start": near | moments | any_json,
        "end": near | any_json,
        "last_updated_at": near | any_json,
        "is_block": st.booleans() | any_json,
        "current_status": any_text | any_json,
        "patient_name": any_text | any_json,
        "client_id": st.integers() | any_json,
    },
)
vital = object_with(["name", "value", "unit"], st.sampled_from(["Weight", "12.3 lb", "kg", "QNS"]))
vital_groups = st.lists(vital, max_size=4) | object_with(
    ["temperature", "temperatureUnit", "weight", "weightUnit", "pulse"],
    st.sampled_from(["101,4", "F", "lb", "1,200"]) | st.floats(),
)
consultations = st.fixed_dictionaries(
    {"consultation": object_with(["id", "notes", "date", "reason"], st.just("55"))},
    optional={
        "patient": object_with(["id", "name", "species", "breed"], any_text) | any_json,
        "consultationNotes": object_with(["notes"], any_text) | any_json,
        "consultationLines": st.lists(any_json, max_size=3) | any_json,
        "vitalSignGroup": vital_groups | any_json,
        "diagnoses": st.lists(any_text, max_size=3) | any_json,
    },
)


@given(st.lists(records | any_json, max_size=8))
def test_no_record_of_a_listing_is_lost(calendar: list[object]) -> None:
    found = sort_records(calendar, window=WINDOW, zone=ZONE)
    parts = [found.appointments, found.quarantined, found.outside, found.duplicates]
    assert sum(map(len, parts)) == len(calendar)
    assert not set(found.outside) & set(found.duplicates)
    identities = [appointment.appointment_id for appointment in found.appointments]
    assert len(set(identities)) == len(identities)
    keys = [record.record_key for record in found.quarantined]
    assert len(set(keys)) == len(keys)
    assert all(appointment.business_date in WINDOW for appointment in found.appointments)


@given(st.lists(records, max_size=6))
def test_listing_the_same_records_again_changes_nothing(calendar: list[object]) -> None:
    once = sort_records(calendar, window=WINDOW, zone=ZONE)
    twice = sort_records(calendar + calendar, window=WINDOW, zone=ZONE)
    assert set(twice.appointments) == set(once.appointments)
    # What cannot be read may be two appointments, however alike its records are.
    assert len(twice.quarantined) == 2 * len(once.quarantined)


DESCRIPTIVE = (
    "consultation_id", "end", "arrival_date_time", "last_updated_at", "patient_id",
    "patient_name", "client_id", "first_name", "last_name", "email", "phone_number",
    "phone_label", "provider", "resource_id", "appointment_room_id", "appointment_room_name",
    "title", "type_description", "reason", "current_status", "status_label", "confirmed_status",
    "recurring", "is_unmatched",
)  # fmt: skip
DECIDING = ("id", "appointment_id", "start", "is_block", "is_roster")
SOUND = {"id": 7, "start": "2026-03-04 09:00:00", "end": "2026-03-04 09:30:00"}


@given(st.dictionaries(st.sampled_from(DESCRIPTIVE), any_json, max_size=5))
def test_no_description_costs_an_appointment(odd: dict[str, object]) -> None:
    found = sort_records([SOUND | odd], window=WINDOW, zone=ZONE)
    assert [each.appointment_id for each in found.appointments] == ["7"]
    assert found.quarantined == ()
    # The parser's own name for a field is in snake_case.
    names = {"resource_id" if name == "resourceId" else name for name in odd}
    assert {each.path for each in found.oddities} <= {f"listing.{name}" for name in names}


@given(st.sampled_from(DECIDING), any_json)
def test_what_decides_is_read_or_quarantined_and_never_merged(field: str, odd: object) -> None:
    found = sort_records([SOUND | {field: odd}] * 2, window=WINDOW, zone=ZONE)
    parts = [found.appointments, found.quarantined, found.outside, found.duplicates]
    assert sum(map(len, parts)) == 2
    if found.duplicates:
        (kept,) = (*found.appointments, *found.elsewhere)
        assert kept.appointment_id not in {"", "0", "False"}


@given(
    st.dictionaries(
        st.sampled_from(
            ["patient", "client", "pageData", "consultationNotes", "consultationLines",
             "vitalSignGroup", "diagnoses"]
        ),
        vital_groups | any_json,
    ),
    object_with(["reason", "notes", "dischargeSummary", "date", "status"], any_text),
)  # fmt: skip
def test_no_description_costs_a_consultation(
    parts: dict[str, object], own: dict[str, object]
) -> None:
    body = json.dumps({"consultation": {**own, "id": 55}, **parts})
    found = parse_consultation(body, appointment=APPOINTMENT)
    assert found is not None
    assert found.consultation_id == "55"


@given(any_json | st.lists(records) | st.fixed_dictionaries({"data": st.lists(records)}))
def test_a_listing_is_read_or_violates_the_contract(response: object) -> None:
    try:
        snapshot = parse_listing(json.dumps(response), window=WINDOW, zone=ZONE, fetched_at=NOW)
    except ContractViolation:
        return
    for appointment in snapshot.appointments:
        repr(appointment).encode()
        assert "\0" not in appointment.status + appointment.patient.name


@given(st.binary() | any_text)
def test_any_bytes_are_read_or_violate_the_contract(body: bytes | str) -> None:
    with suppress(ContractViolation):
        parse_listing(body, window=WINDOW, zone=ZONE, fetched_at=NOW)


@given(any_json | st.fixed_dictionaries({"appointment": object_with(["id", "deleted"], moments)}))
def test_a_lookup_is_read_or_violates_the_contract(response: object) -> None:
    try:
        found = parse_lookup(json.dumps(response), appointment_id="7", zone=ZONE, asked_at=NOW)
    except ContractViolation:
        return
    assert found.appointment_id == "7"


@given(any_json | consultations)
def test_a_consultation_is_read_or_violates_the_contract(response: object) -> None:
    try:
        found = parse_consultation(json.dumps(response), appointment=APPOINTMENT)
    except ContractViolation:
        return
    assert found is not None
    assert found.consultation_id == "55"
    (found.notes or "").encode()


@given(any_text | st.from_regex(r"(<[a-z/]{1,6}>|&[a-z]{1,5};|\w| ){0,30}", fullmatch=True))
def test_plain_text_can_always_be_stored(markup: str) -> None:
    text = plain_text(markup)
    assert text is None or (text == storable(text) and text)


@given(st.text(alphabet=st.characters(exclude_characters="<>&\0", exclude_categories=["Cs"])))
def test_text_without_markup_keeps_every_character(text: str) -> None:
    assert plain_text(text) == (text.strip() or None)


@given(st.sampled_from(["Temperature", "Weight", "HR", "Resp"]), st.text(min_size=1))
def test_a_measurement_is_kept_as_number_or_in_words(name: str, value: str) -> None:
    reading = read_vitals([{"name": name, "value": value}])
    text = storable(value)
    measures_nothing = not text or {each.number for each in quantities(text)} == {0}
    assert (reading.vitals is not None) + len(reading.in_words) == (0 if measures_nothing else 1)
    assert not reading.in_words or text in reading.in_words[0]
