"""The vendor's side: booking and editing appointments, and the true history of each."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.simulator.control_client import TrueAppointment
from pims_pipeline_tests.reliability.clinic.state import ClinicState


@dataclass(frozen=True, slots=True)
class Truth:
    """The state of an appointment at the vendor from ``at`` on.

    Attributes:
        resources: Where it takes place, as the pipeline names it.
    """

    at: datetime
    appointment: TrueAppointment
    resources: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        return not self.appointment.deleted


@dataclass
class VendorSide(ClinicState):
    """Edits of the vendor's calendar.

    Attributes:
        history: By appointment id, every state that the appointment had.
        words_were_wrong: Whether a listing may have shown statuses that no appointment had.
    """

    history: dict[str, list[Truth]] = field(default_factory=dict)
    words_were_wrong: bool = False

    @property
    def appointments(self) -> dict[str, Truth]:
        """Every appointment ever booked, in its present state."""
        return {pims_id: truths[-1] for pims_id, truths in self.history.items()}

    def local(self, day: int, hour: int, minute: int = 0) -> datetime:
        """A naive wall-clock time, ``day`` days from the clinic's today."""
        return datetime.combine(self.today + timedelta(days=day), time(hour, minute))

    def book(self, start: datetime, status: str = "not arrived", patient: str = "Juniper") -> str:
        """Book an appointment; returns its id."""
        book = self.servers.control.book
        return self._record(
            book(self.company.company_id, start, status=status, patient_name=patient)
        )

    def vendor(self, action: str, pims_id: str, *how: Any, **named: Any) -> None:
        """Apply one of the simulator's edits, by its name, to an appointment."""
        edit = getattr(self.servers.control, action)
        self._record(edit(self.company.company_id, pims_id, *how, **named))

    def species(self, patient_id: str | None) -> str | None:
        """The species of a patient, from any state of any appointment."""
        known = (truth.appointment for truths in self.history.values() for truth in truths)
        return next((each.species for each in known if each.patient_id == patient_id), None)

    def _record(self, appointment: TrueAppointment) -> str:
        truth = Truth(self.servers.clock(), appointment, self.at.resources_of(appointment))
        self.history.setdefault(appointment.id, []).append(truth)
        return appointment.id

    def truths(self, pims_id: str, since: datetime, until: datetime) -> list[Truth]:
        """The appointment's state at ``since``, and every later one up to ``until``."""
        truths = [truth for truth in self.history[pims_id] if truth.at <= until]
        before = [truth for truth in truths if truth.at <= since]
        return [*before[-1:], *(truth for truth in truths if truth.at > since)]

    def version_of(self, pims_id: str, vendor_updated_at: str) -> int:
        """The index of the appointment's state with this time of the vendor's last update."""
        changed = [
            local_to_utc(truth.appointment.last_updated_at, self.clinic.zone).isoformat()
            for truth in self.history[pims_id]
            if truth.appointment.last_updated_at is not None
        ]
        return len(changed) - 1 - changed[::-1].index(vendor_updated_at)
