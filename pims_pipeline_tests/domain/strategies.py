"""Hypothesis strategies for the domain's types, for every room's tests.

Everything generated obeys the contracts of the types (aware UTC times, business dates
in the clinic's zone, each identity once per listing). Text holds many scripts, but no NUL
and no lone surrogates, which no Postgres column can hold; rules that must accept those
have tests of their own.

A strategy is made once, not in each draw: Hypothesis checks every new one, which takes longer than
drawing from it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pims_pipeline.domain.clinics import Clinic, DateRange, local_to_utc
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation, SoapNotes, Vital, Vitals
from pims_pipeline.domain.records.words import CaseType

ZONES = (
    "America/New_York",
    "Europe/London",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Tehran",
)
STATUSES = (
    "not arrived",
    "Confirmed",
    "checked-in",
    "In Progress",
    "Ready to Pay",
    "Finalized",
    "No Show",
    "CANCELLED",
    "gone fishing",
    "",
)
TYPES = ("Exam", "Dental - Surgery", "URGENT recheck", "Re-check", "Nail trim", None)
WEEK = DateRange(date(2026, 3, 5), date(2026, 3, 11))
"""A window with New York's clock change on its fourth day."""

_words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_maybe_words = st.none() | _words
identities = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants naive limits
days = st.dates(date(2020, 1, 1), date(2030, 12, 31))

_uuids = st.uuids()
_slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{1,39}", fullmatch=True)
_zone_names = st.sampled_from(ZONES)
_provider_types = st.sampled_from(["idexx_neo", "fake"])
_booleans = st.booleans()
_hours, _minutes = st.integers(0, 23), st.integers(0, 59)
_durations = st.integers(0, 240)
_common_statuses, _common_types = st.sampled_from(STATUSES), st.sampled_from(TYPES)
_statuses, _types = _common_statuses | _words, _common_types | _words
_maybe_identities = st.none() | identities
_maybe_case_types = st.none() | st.sampled_from(CaseType)
_maybe_moments = st.none() | moments
_offsets = st.integers(0, 3)
_maybe_feline = st.sampled_from([None, "Feline"])
_mostly_appointments = st.sampled_from([*[RecordKind.APPOINTMENT] * 4, *RecordKind])
_days_around = st.none() | st.dates(WEEK.start - timedelta(days=2), WEEK.end + timedelta(days=2))


@cache
def _up_to(last: int) -> SearchStrategy[int]:
    return st.integers(0, last)


@cache
def _one_of(kinds: tuple[RecordKind, ...]) -> SearchStrategy[RecordKind]:
    return st.sampled_from(kinds)


@st.composite
def clinics(draw: st.DrawFn) -> Clinic:
    """Any clinic that may be stored."""
    return Clinic(
        id=draw(_uuids),
        slug=draw(_slugs),
        name=draw(_words),
        timezone=draw(_zone_names),
        provider_type=draw(_provider_types),
        provider_base_url="https://pims.example.test",
        is_active=draw(_booleans),
    )


@st.composite
def date_ranges(draw: st.DrawFn, max_days: int = 40) -> DateRange:
    """A range of at most ``max_days`` business dates."""
    start = draw(days)
    return DateRange(start, start + timedelta(days=draw(_up_to(max_days - 1))))


patients = st.builds(
    Patient, id=st.none() | identities, name=_words, species=_maybe_words, breed=_maybe_words
)
clients = st.builds(
    Client, id=st.none() | identities, name=_words, phone=_maybe_words, email=_maybe_words
)


@st.composite
def appointments(
    draw: st.DrawFn,
    *,
    ids: SearchStrategy[str] = identities,
    window: DateRange = WEEK,
    zone: SearchStrategy[ZoneInfo] = zones,
    kinds: Sequence[RecordKind] = tuple(RecordKind),
) -> PimsAppointment:
    """Any appointment whose business date lies in ``window``."""
    day = window.start + timedelta(days=draw(_up_to(len(window) - 1)))
    wall_clock = datetime.combine(day, time(draw(_hours), draw(_minutes)))
    start = local_to_utc(wall_clock, draw(zone))
    return PimsAppointment(
        appointment_id=draw(ids),
        scheduled_start=start,
        scheduled_end=start + timedelta(minutes=draw(_durations)),
        business_date=day,
        status=draw(_statuses),
        consultation_id=draw(_maybe_identities),
        appointment_type=draw(_types),
        stated_type=draw(_maybe_case_types),
        patient=draw(patients),
        client=draw(clients),
        provider=draw(_maybe_words),
        room=draw(_maybe_words),
        reason=draw(_maybe_words),
        notes=draw(_maybe_words),
        kind=draw(_one_of(tuple(kinds))),
        vendor_updated_at=draw(_maybe_moments),
    )


@st.composite
def calendar_entries(draw: st.DrawFn, ids: SearchStrategy[str]) -> PimsAppointment:
    """An appointment that differs from others in few ways, so that listings often agree."""
    start = datetime(2026, 3, 5, 15, tzinfo=UTC) + timedelta(days=draw(_offsets))
    return PimsAppointment(
        appointment_id=draw(ids),
        scheduled_start=start,
        scheduled_end=start + timedelta(minutes=30),
        business_date=start.date(),
        status=draw(_common_statuses),
        appointment_type=draw(_common_types),
        patient=Patient(name="Ада", species=draw(_maybe_feline)),
        client=Client(name="Grace 吳"),
        kind=draw(_mostly_appointments),
    )


@cache
def quarantined_records(ids: SearchStrategy[str]) -> SearchStrategy[QuarantinedRecord]:
    """An unreadable record, with or without an identity and a date, in or out of the week."""

    def record(pims_id: str | None, day: date | None) -> QuarantinedRecord:
        return QuarantinedRecord(
            record_key=pims_id or "sha256:0",
            error_class="ContractViolation",
            error_message="start: not a time",
            pims_id=pims_id,
            business_date=day,
        )

    return st.builds(record, st.none() | ids, _days_around)


@cache
def _appointments_of(ids: SearchStrategy[str]) -> SearchStrategy[list[PimsAppointment]]:
    entries = calendar_entries(ids) | appointments(ids=ids)
    return st.lists(entries, max_size=6, unique_by=lambda entry: entry.appointment_id)


@cache
def _quarantined_of(ids: SearchStrategy[str], most: int) -> SearchStrategy[list[QuarantinedRecord]]:
    return st.lists(quarantined_records(ids), max_size=most)


@st.composite
def snapshots(
    draw: st.DrawFn,
    *,
    ids: SearchStrategy[str] = st.sampled_from("abcdef"),  # noqa: B008 - strategies are immutable
    fetched_at: SearchStrategy[datetime] = moments,
    proof: SearchStrategy[Proof | None] = st.sampled_from((None, *Proof)),  # noqa: B008 - as above
    max_quarantined: int = 2,
) -> Snapshot:
    """A listing of ``WEEK``; listings with few ``ids`` share appointments."""
    return Snapshot(
        window=WEEK,
        appointments=tuple(draw(_appointments_of(ids))),
        fetched_at=draw(fetched_at),
        quarantined=tuple(draw(_quarantined_of(ids, max_quarantined))),
        proof=draw(proof),
    )


_numbers = st.floats(-50, 2000, allow_nan=False).map(lambda value: round(value, 2))
vitals = st.none() | st.builds(
    Vital, value=_numbers, raw_value=_words, raw_unit=st.sampled_from([None, "F", "lb", "kg"])
)

_names = st.lists(_words, max_size=3).map(tuple)
_maybe_days = st.none() | days
_maybe_soap_notes = st.none() | st.builds(SoapNotes, _words, _words, _words, _words)
_maybe_vitals = st.none() | st.builds(Vitals, vitals, vitals, vitals, vitals)
_maybe_patients = st.none() | patients


@st.composite
def consultations(
    draw: st.DrawFn,
    *,
    appointment_ids: SearchStrategy[str] = identities,
) -> PimsConsultation:
    """Any consultation."""
    return PimsConsultation(
        appointment_id=draw(appointment_ids),
        consultation_id=draw(identities),
        consultation_date=draw(_maybe_days),
        status=draw(_maybe_words),
        soap_notes=draw(_maybe_soap_notes),
        notes=draw(_maybe_words),
        vitals=draw(_maybe_vitals),
        diagnoses=draw(_names),
        treatments=draw(_names),
        declined_treatments=draw(_names),
        discharge_instructions=draw(_maybe_words),
        reason=draw(_maybe_words),
        patient=draw(_maybe_patients),
        is_finished=draw(_booleans),
    )


CLINIC_ID = UUID("7b4f3a52-0f5e-4b39-8a2f-3f6f3d1f9b10")
CLINIC = Clinic(
    id=CLINIC_ID,
    slug="riverbend",
    name="Riverbend Animal Clinic",
    timezone="America/New_York",
    provider_type="fake",
    provider_base_url="https://pims.example.test",
    is_active=True,
)
"""The clinic of tests in which the clinic does not matter."""
