"""The entries of a made-up calendar, with their patients and clients.

Plain values. How they are made up belongs in ``generation``, how they are edited in ``calendar``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["appointment", "block", "roster"]
IDS_PER_DAY = 2000
"""A generated record's id is the ordinal of its date times this, plus its place in the day."""

FIRST_BOOKED_ID = 9_000_000_001
"""Ids of later bookings start here, above every generated one."""

CONSULTATION_OFFSET = 20_000_000_000
"""A consultation's id is its appointment's id plus this, plus this again for each former one."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient of a made-up clinic; its weight is in kilograms."""

    id: int
    name: str
    species: str
    breed: str
    weight_kg: float


@dataclass(frozen=True, slots=True)
class Client:
    """A made-up owner. Any text may be missing or empty, as with the vendor."""

    id: int
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    phone_label: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a calendar, whatever its kind. All times are naive clinic-local.

    Attributes:
        type: The clinic's own name for the type, possibly empty or missing.
        patient: ``None`` for blocks, rosters and walk-ins that are not registered.
        consultation_id: Set as soon as the appointment is opened.
        notes_written: Whether the consultation is written.
        notes_html: Notes that a person wrote in place of the generated ones, if any.
        status_before: The status to restore when a cancellation is undone.
        series_id: The identity of another record, under which this one is listed.
        former: How many consultations it had for former patients or clients.
        written_for: The patient and client of the consultation, when they are not the record's own.
    """

    id: int
    kind: Kind
    start: datetime
    end: datetime
    status: str
    type: str | None
    title: str
    reason: str | None
    patient: Patient | None
    client: Client | None
    provider: str | None
    room: str | None
    last_updated_at: datetime | None
    consultation_id: int | None = None
    arrival: datetime | None = None
    recurring: bool = False
    walk_in: bool = False
    notes_written: bool = False
    notes_html: str | None = None
    booking_notes: str = ""
    deleted: bool = False
    cancelled_reason: str | None = None
    status_before: str | None = None
    series_id: int | None = None
    former: int = 0
    written_for: "tuple[Patient, Client | None] | None" = None

    @property
    def next_consultation_id(self) -> int:
        """The id of the consultation that is opened for its patient and client."""
        return self.id + CONSULTATION_OFFSET * (self.former + 1)
