"""How the calendar page shows one entry: texts and buttons, no markup."""

from dataclasses import dataclass

from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.vendors.vetspire.encounters import is_signed
from pims_pipeline.simulator.vendors.vetspire.wire import status_word, variant_of

_STATUS_CLASSES = {
    "Checked In": "now",
    "Finalized": "done",
    "Ready to Pay": "now",
    "In Progress": "now",
    "Cancelled": "off",
    "No Show": "off",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An entry with its notes.

    Attributes:
        notes: HTML, as its page at the vendor has them; empty where it has none yet.
    """

    entry: Entry
    notes: str
    clinic: SimulatedClinic

    @classmethod
    def of(cls, entry: Entry, calendar: Calendar) -> "Row":
        """The entry as ``calendar`` has it."""
        consultation = calendar.consultation_of(entry) if entry.kind == "appointment" else None
        notes = consultation.notes_html if consultation else ""
        return cls(entry, notes, calendar.clinic)

    @property
    def is_appointment(self) -> bool:
        """Whether it is an animal's appointment, not a block or a roster."""
        return self.entry.kind == "appointment"

    @property
    def is_finished(self) -> bool:
        """Whether the appointment is over."""
        return self.entry.status == "Finalized"

    @property
    def classes(self) -> str:
        """The row's CSS classes."""
        classes = {"staff": not self.is_appointment, "deleted": self.entry.deleted}
        return " ".join(name for name, applies in classes.items() if applies)

    @property
    def status(self) -> str:
        """What the clinic's vendor calls its status."""
        if self.entry.deleted:
            return "Deleted"
        if not self.is_appointment:
            return self.entry.kind.title()
        if self.clinic.vendor == "vetspire":
            return status_word(self.entry.status, variant_of(self.entry, self.clinic))
        return self.entry.status

    @property
    def record(self) -> str:
        """Whether its encounter is signed, where the vendor has encounters."""
        if self.clinic.vendor != "vetspire" or self.entry.consultation_id is None:
            return ""
        return "Encounter signed" if is_signed(self.entry) else "Encounter not signed"

    @property
    def status_class(self) -> str:
        """The CSS class of its status."""
        return "off" if self.entry.deleted else _STATUS_CLASSES.get(self.entry.status, "")

    @property
    def patient(self) -> str:
        """The animal's name."""
        return self.entry.patient.name if self.entry.patient else "Walk-in"

    @property
    def animal(self) -> str:
        """What kind of animal it is."""
        patient = self.entry.patient
        return f"{patient.species}, {patient.breed}" if patient else ""

    @property
    def owner(self) -> str:
        """The client's name."""
        client = self.entry.client
        return " ".join(filter(None, (client.first_name, client.last_name))) if client else ""

    @property
    def details(self) -> list[str]:
        """Why the appointment takes place, with which vet and where; not its type."""
        where = " - ".join(filter(None, (self.entry.provider, self.entry.room)))
        return [text for text in (self.entry.reason, where) if text] if self.is_appointment else []

    @property
    def label(self) -> str:
        """What its buttons are about, for screen readers."""
        return self.entry.patient.name if self.entry.patient else self.entry.title

    @property
    def buttons(self) -> list[str]:
        """The edits that need no more than a button, as their addresses call them."""
        if self.entry.deleted:
            return ["restore"]
        if self.entry.status == "Cancelled":
            return ["restore", "delete"]
        if not self.is_appointment:
            return ["delete"]
        return [*["check-in"] * self._is_awaited, "cancel", "delete"]

    @property
    def _is_awaited(self) -> bool:
        return self.entry.status in {"not arrived", "Confirmed"}

    @staticmethod
    def name_of(button: str) -> str:
        """What a button says."""
        return button.replace("-", " ").capitalize()
