"""Hypothesis strategies for the domain's types, for every room's tests.

Everything generated obeys the contracts of the types (aware UTC times, business dates
in the clinic's zone, each identity once per listing). Text holds many scripts, but no NUL
and no lone surrogates, which no Postgres column can hold; rules that must accept those
have tests of their own.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
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


@st.composite
def clinics(draw: st.DrawFn) -> Clinic:
    """Any clinic that may be stored."""
    return Clinic(
        id=draw(st.uuids()),
        slug=draw(st.from_regex(r"[a-z0-9][a-z0-9-]{1,39}", fullmatch=True)),
        name=draw(_words),
        timezone=draw(st.sampled_from(ZONES)),
        provider_type=draw(st.sampled_from(["idexx_neo", "fake"])),
        provider_base_url="https://pims.example.test",
        is_active=draw(st.booleans()),
    )


@st.composite
def date_ranges(draw: st.DrawFn, max_days: int = 40) -> DateRange:
    """A range of at most ``max_days`` business dates."""
    start = draw(days)
    return DateRange(start, start + timedelta(days=draw(st.integers(0, max_days - 1))))


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
    day = window.start + timedelta(days=draw(st.integers(0, len(window) - 1)))
    wall_clock = datetime.combine(day, time(draw(st.integers(0, 23)), draw(st.integers(0, 59))))
    start = local_to_utc(wall_clock, draw(zone))
    return PimsAppointment(
        appointment_id=draw(ids),
        scheduled_start=start,
        scheduled_end=start + timedelta(minutes=draw(st.integers(0, 240))),
        business_date=day,
        status=draw(st.sampled_from(STATUSES) | _words),
        consultation_id=draw(st.none() | identities),
        appointment_type=draw(st.sampled_from(TYPES) | _words),
        stated_type=draw(st.none() | st.sampled_from(CaseType)),
        patient=draw(patients),
        client=draw(clients),
        provider=draw(_maybe_words),
        room=draw(_maybe_words),
        reason=draw(_maybe_words),
        notes=draw(_maybe_words),
        kind=draw(st.sampled_from(list(kinds))),
        vendor_updated_at=draw(st.none() | moments),
    )


@st.composite
def calendar_entries(draw: st.DrawFn, ids: SearchStrategy[str]) -> PimsAppointment:
    """An appointment that differs from others in few ways, so that listings often agree."""
    start = datetime(2026, 3, 5, 15, tzinfo=UTC) + timedelta(days=draw(st.integers(0, 3)))
    return PimsAppointment(
        appointment_id=draw(ids),
        scheduled_start=start,
        scheduled_end=start + timedelta(minutes=30),
        business_date=start.date(),
        status=draw(st.sampled_from(STATUSES)),
        appointment_type=draw(st.sampled_from(TYPES)),
        patient=Patient(name="Ада", species=draw(st.sampled_from([None, "Feline"]))),
        client=Client(name="Grace 吳"),
        kind=draw(st.sampled_from([*[RecordKind.APPOINTMENT] * 4, *RecordKind])),
    )


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

    some_day = st.dates(WEEK.start - timedelta(days=2), WEEK.end + timedelta(days=2))
    return st.builds(record, st.none() | ids, st.none() | some_day)


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
    entries = calendar_entries(ids) | appointments(ids=ids)
    return Snapshot(
        window=WEEK,
        appointments=tuple(
            draw(st.lists(entries, max_size=6, unique_by=lambda entry: entry.appointment_id))
        ),
        fetched_at=draw(fetched_at),
        quarantined=tuple(draw(st.lists(quarantined_records(ids), max_size=max_quarantined))),
        proof=draw(proof),
    )


_numbers = st.floats(-50, 2000, allow_nan=False).map(lambda value: round(value, 2))
vitals = st.none() | st.builds(
    Vital, value=_numbers, raw_value=_words, raw_unit=st.sampled_from([None, "F", "lb", "kg"])
)


@st.composite
def consultations(
    draw: st.DrawFn,
    *,
    appointment_ids: SearchStrategy[str] = identities,
) -> PimsConsultation:
    """Any consultation."""
    names = st.lists(_words, max_size=3).map(tuple)
    return PimsConsultation(
        appointment_id=draw(appointment_ids),
        consultation_id=draw(identities),
        consultation_date=draw(st.none() | days),
        status=draw(_maybe_words),
        soap_notes=draw(st.none() | st.builds(SoapNotes, _words, _words, _words, _words)),
        notes=draw(_maybe_words),
        vitals=draw(st.none() | st.builds(Vitals, vitals, vitals, vitals, vitals)),
        diagnoses=draw(names),
        treatments=draw(names),
        declined_treatments=draw(names),
        discharge_instructions=draw(_maybe_words),
        reason=draw(_maybe_words),
        patient=draw(st.none() | patients),
        is_finished=draw(st.booleans()),
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
