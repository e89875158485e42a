"""One clinic's calendar at present: the generated days with the edits made since.

Add a rule of editing here; what a vendor shows of the calendar belongs in ``vendors``. Times are
naive clinic-local. Not safe for several threads: the server's event loop owns it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig
from pims_pipeline.simulator.practice.consultations import Consultation, make_consultation
from pims_pipeline.simulator.practice.entries import (
    CONSULTATION_OFFSET,
    FIRST_BOOKED_ID,
    Client,
    Entry,
    Patient,
)
from pims_pipeline.simulator.practice.generation import (
    OPENED_STATUSES,
    WRITTEN_STATUSES,
    generate_day,
    id_date,
)
from pims_pipeline.simulator.practice.rooms import Rooms

DAYS_KEPT = 1024
"""How many generated days are cached; another one is generated again."""
DEFAULT_MINUTES = 30
YEARS = range(1900, 2200)
"""The years of a calendar; before and after them it is empty."""
RebookedConsultation = Literal["none", "same", "new"]
_FIRST_REBOOKED_ID = 8_000_000_000
"""Ids of patients and clients from a rebooking are above this one."""


class UnknownEntry(LookupError):
    """No record of the calendar has that id."""


class EditRefused(ValueError):
    """The record cannot be edited so; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a person fills in to book an appointment."""

    start: datetime
    minutes: int = DEFAULT_MINUTES
    patient_name: str = "Juniper"
    client_name: str = "Sam Booker"
    type: str | None = "Consultation"
    status: str = "not arrived"
    species: str = "Canine"
    reason: str | None = None
    room: str | None = None
    provider: str | None = None


@dataclass(slots=True)
class _Edits:
    """Edited and booked records by id, and the ids by the present day of the record."""

    entries: dict[int, Entry] = field(default_factory=dict)
    by_day: dict[date, set[int]] = field(default_factory=dict)
    booked: int = 0
    rebookings: int = 0


class Calendar:
    """Every record of one clinic, deleted ones included."""

    def __init__(self, config: SimulatorConfig, clinic: SimulatedClinic) -> None:
        self.clinic = clinic
        self.today = config.today_of(clinic)
        self._config = config
        self.rooms = Rooms()
        self._edits = _Edits()
        self._days: dict[date, tuple[Entry, ...]] = {}

        @lru_cache(maxsize=DAYS_KEPT)
        def generated(day: date) -> tuple[Entry, ...]:
            if day.year not in YEARS:
                return ()
            return generate_day(
                config.seed, clinic, day, self.today, config.appointments_per_day
            )  # fmt: skip

        self._generated = generated

    def reset(self) -> None:
        """Forget every edit and booking."""
        self.rooms = Rooms()
        self._edits = _Edits()
        self._days.clear()

    def day(self, day: date) -> tuple[Entry, ...]:
        """Every record of ``day``, deleted ones included, in order of time.

        Returns the same tuple object until one of the day's records changes.
        """
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= DAYS_KEPT:
                self._days.clear()
            known = self._days[day] = tuple(sorted(self._on(day), key=lambda e: (e.start, e.id)))
        return known

    def _on(self, day: date) -> Iterator[Entry]:
        for entry in self._generated(day):
            if entry.id not in self._edits.entries:
                yield entry
        for entry_id in self._edits.by_day.get(day, ()):
            yield self._edits.entries[entry_id]

    def days(self, start: date, end: date) -> Iterator[tuple[Entry, ...]]:
        """The days from ``start`` to ``end``, both included."""
        for offset in range((end - start).days + 1):
            yield self.day(start + timedelta(days=offset))

    def edited(self) -> Iterator[Entry]:
        """Every booked or edited record as it is now, in no order."""
        return iter(self._edits.entries.values())

    def made_on(self, entry_id: int) -> date:
        """The date a record was made for, whatever its date is now; today for a booked one."""
        return id_date(entry_id - self.clinic.ids_from) or self.today

    def entry(self, entry_id: int) -> Entry:
        """The record with that id, on whatever day it is now.

        Raises:
            UnknownEntry: If there is none.
        """
        edited = self._edits.entries.get(entry_id)
        if edited is not None:
            return edited
        day = id_date(entry_id - self.clinic.ids_from)
        for entry in self._generated(day) if day else ():
            if entry.id == entry_id:
                return entry
        raise UnknownEntry(f"no record has the id {entry_id}")

    def find_consultation(self, consultation_id: int) -> tuple[Entry, Consultation]:
        """The record that a consultation belongs to, and the consultation.

        Raises:
            UnknownEntry: If no record has that consultation, or nothing is written yet.
        """
        entry = self.entry(consultation_id % CONSULTATION_OFFSET)
        consultation = self.consultation_of(entry)
        if consultation is None or entry.consultation_id != consultation_id:
            raise UnknownEntry(f"consultation {consultation_id} has no page")
        return _as_written(entry), consultation

    def consultation_of(self, entry: Entry) -> Consultation | None:
        """The consultation of ``entry``, if it is opened and written."""
        if entry.consultation_id is None or not entry.notes_written:
            return None
        return make_consultation(
            self._config.seed,
            self.clinic.company_id,
            _as_written(entry),
            imperial=self.clinic.imperial,
        )

    def book(self, booking: Booking) -> Entry:
        """Put a new appointment into the calendar."""
        _check_year(booking.start)
        entry_id = FIRST_BOOKED_ID + self.clinic.ids_from + self._edits.booked
        self._edits.booked += 1
        first, _, last = booking.client_name.partition(" ")
        entry = Entry(
            id=entry_id,
            kind="appointment",
            start=booking.start,
            end=booking.start + timedelta(minutes=booking.minutes),
            status="not arrived",
            type=booking.type,
            title=booking.type or "Appointment",
            reason=booking.reason,
            patient=Patient(entry_id, booking.patient_name, booking.species, "Mixed Breed", 9.5),
            client=Client(entry_id, first, last or None, None, None, None),
            provider=booking.provider,
            room=booking.room,
            last_updated_at=None,
        )
        return self._put(_with_status(entry, booking.status))

    def move(self, entry_id: int, start: datetime) -> Entry:
        """Give a record another start; its length stays."""
        _check_year(start)
        entry = self.entry(entry_id)
        return self._put(replace(entry, start=start, end=start + (entry.end - entry.start)))

    def move_to_room(self, entry_id: int, room: str | None) -> Entry:
        """Put a record into another room, by its name at the start, or into none."""
        return self._put(replace(self.entry(entry_id), room=room))

    def move_to_provider(self, entry_id: int, provider: str | None) -> Entry:
        """Give a record to another provider, by the name at the start, or to none."""
        return self._put(replace(self.entry(entry_id), provider=provider))

    def rename_room(self, room_id: int, name: str) -> None:
        """Give a room another name; its id stays.

        Raises:
            EditRefused: If the clinic has no room with that id.
        """
        former = self.rooms.former_name(room_id)
        if former is None:
            raise EditRefused(f"no room has the id {room_id}")
        self.rooms = Rooms({**self.rooms.renamed, former: name})
        self._days.clear()

    def cancel(self, entry_id: int, reason: str = "Owner cancelled by phone") -> Entry:
        """Mark a record cancelled; it stays in the listing."""
        entry = self.entry(entry_id)
        before = entry.status_before if entry.status == "Cancelled" else entry.status
        return self._put(
            replace(entry, status="Cancelled", cancelled_reason=reason, status_before=before)
        )

    def delete(self, entry_id: int) -> Entry:
        """Take a record out of the listing; a lookup still shows that it was deleted."""
        return self._put(replace(self.entry(entry_id), deleted=True))

    def restore(self, entry_id: int) -> Entry:
        """Undo a deletion and a cancellation."""
        entry = self.entry(entry_id)
        status = entry.status
        if status == "Cancelled":
            status = entry.status_before or "Confirmed"
        return self._put(
            replace(entry, deleted=False, status=status, cancelled_reason=None, status_before=None)
        )

    def check_in(self, entry_id: int) -> Entry:
        """Note that the animal has arrived."""
        entry = self._appointment(entry_id)
        return self._put(_with_status(replace(entry, arrival=entry.start), "Checked In"))

    def set_status(self, entry_id: int, status: str) -> Entry:
        """Give a record any status, also one that the vendor is not known to use."""
        return self._put(_with_status(self.entry(entry_id), status))

    def finish(self, entry_id: int, notes_html: str | None = None) -> Entry:
        """Finish an appointment: its consultation is opened, written and finalized."""
        entry = _with_status(self._appointment(entry_id), "Finalized")
        notes = entry.notes_html if notes_html is None else notes_html
        return self._put(replace(entry, notes_html=notes, notes_written=True))

    def write_notes(self, entry_id: int, notes_html: str) -> Entry:
        """Write or correct the notes of an opened appointment.

        Raises:
            EditRefused: If the appointment has not been opened.
        """
        entry = self._appointment(entry_id)
        if entry.consultation_id is None:
            raise EditRefused(
                f"appointment {entry_id} has no consultation yet: finish it first, or set it "
                "In Progress"
            )
        return self._put(replace(entry, notes_html=notes_html, notes_written=True))

    def rename_patient(self, entry_id: int, name: str) -> Entry:
        """Correct the animal's name on this record alone."""
        entry = self._appointment(entry_id)
        patient = entry.patient or Patient(entry.id, name, "Canine", "Mixed Breed", 9.5)
        return self._put(replace(entry, patient=replace(patient, name=name), walk_in=False))

    def join_series(self, entry_id: int, series_id: int) -> Entry:
        """List a record under the identity of another one, which makes them a series."""
        return self._put(replace(self._appointment(entry_id), series_id=self.entry(series_id).id))

    def rebook(
        self,
        entry_id: int,
        *,
        patient_name: str | None = None,
        species: str = "Canine",
        client_name: str | None = None,
        consultation: RebookedConsultation = "none",
    ) -> Entry:
        """Give a record to another patient, another client, or both.

        Afterwards it has no consultation, still the former one, or a new one. A patient or client
        that is not named stays.
        """
        before = self._appointment(entry_id)
        self._edits.rebookings += 1
        number = _FIRST_REBOOKED_ID + self._edits.rebookings
        patient, client = before.patient, before.client
        if patient_name is not None:
            patient = Patient(number, patient_name, species, "Mixed Breed", 9.5)
        if client_name is not None:
            first, _, last = client_name.partition(" ")
            client = Client(number, first, last or None, None, None, None)
        entry = replace(before, patient=patient, client=client, walk_in=False)
        if consultation == "same":
            people = (before.patient, before.client) if before.patient else None
            return self._put(replace(entry, written_for=before.written_for or people))
        entry = replace(
            entry,
            former=before.former + 1,
            written_for=None,
            consultation_id=None,
            notes_written=False,
            notes_html=None,
        )
        if consultation == "new":
            entry = replace(entry, consultation_id=entry.next_consultation_id, notes_written=True)
        return self._put(entry)

    def _appointment(self, entry_id: int) -> Entry:
        entry = self.entry(entry_id)
        if entry.kind != "appointment":
            raise EditRefused(f"record {entry_id} is a {entry.kind}, not an appointment")
        return entry

    def _put(self, entry: Entry) -> Entry:
        """Keep the edited record in place of the former one, with a later time of change."""
        try:
            before = self.entry(entry.id)
        except UnknownEntry:
            before = None
        stamped = replace(entry, last_updated_at=self._later_than(before))
        if before is not None:
            self._edits.by_day.get(before.start.date(), set()).discard(entry.id)
            self._days.pop(before.start.date(), None)
        self._edits.entries[entry.id] = stamped
        self._edits.by_day.setdefault(stamped.start.date(), set()).add(entry.id)
        self._days.pop(stamped.start.date(), None)
        return stamped

    def _later_than(self, before: Entry | None) -> datetime:
        """The clinic's local time, or just after the record's last change if that is later."""
        local = self._config.clock().astimezone(self.clinic.zone)
        now = local.replace(microsecond=0, tzinfo=None)
        if before is None or before.last_updated_at is None:
            return now
        return max(now, before.last_updated_at + timedelta(seconds=1))


def _as_written(entry: Entry) -> Entry:
    """The record with the patient and client that its consultation was written for."""
    if entry.written_for is None:
        return entry
    patient, client = entry.written_for
    return replace(entry, patient=patient, client=client)


def _check_year(start: datetime) -> None:
    if start.year not in YEARS:
        raise EditRefused(f"the calendar holds the years {YEARS.start} to {YEARS.stop - 1} only")


def _with_status(entry: Entry, status: str) -> Entry:
    """``entry`` in another status; its consultation is opened if the status implies one."""
    changed = replace(entry, status=status, status_before=None, cancelled_reason=None)
    if entry.kind != "appointment" or status not in OPENED_STATUSES:
        return changed
    return replace(
        changed,
        consultation_id=entry.consultation_id or entry.next_consultation_id,
        arrival=entry.arrival or entry.start,
        notes_written=entry.notes_written or status in WRITTEN_STATUSES,
    )
