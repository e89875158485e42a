"""What these tests must know of a vendor: its clinics, its faults and its words.

Add a vendor as a module beside this one, to ``every_vendor``, and with its adapter to
``clinic/adapters``; rules and oracle stay as they are.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.simulator.control_client import TrueAppointment
from pims_pipeline.simulator.faults import FaultKind, faults_of
from pims_pipeline.simulator.practice.clinics import SimulatedClinic, Vendor


class AtVendor(ABC):
    """A vendor, as the tests of reliability see it.

    Attributes:
        name: The provider type.
        clinics: Its simulated clinics: in New York, London and Sydney.
        has_sessions: Whether it has sessions, which can end.
        has_pages: Whether a listing takes several requests, between which its calendar changes.
        always_wrong: Faults that no listing survives if they last.
        places: Where an appointment may take place, by the vendor's name, with our resource.
        place_action: The simulator's edit that puts an appointment at one of them.
        filters: Choices of these resources, besides all of them.
    """

    name: ClassVar[Vendor]
    clinics: ClassVar[tuple[SimulatedClinic, ...]]
    has_sessions: ClassVar[bool]
    has_pages: ClassVar[bool]
    always_wrong: ClassVar[tuple[FaultKind, ...]]
    places: ClassVar[dict[str, str]]
    place_action: ClassVar[str]
    filters: ClassVar[tuple[ResourceFilter, ...]]

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        """The faults that it has."""
        return faults_of(self.name)

    @abstractmethod
    def place_of(self, appointment: TrueAppointment) -> str | None:
        """Where the appointment takes place, by the vendor's name."""

    @abstractmethod
    def words_for(self, status: str) -> Sequence[str]:
        """The words that the vendor has for a status of the calendar."""

    @abstractmethod
    def end_of(self, appointment: TrueAppointment, start: datetime, clinic: Clinic) -> datetime:
        """The end of an appointment with this aware start."""

    def has_finished_notes(self, appointment: TrueAppointment) -> bool:  # noqa: ARG002 - others need it
        """Whether its notes, if it has any, must have reached the case."""
        return True

    def listing_requests(self, window: DateRange) -> int:  # noqa: ARG002 - others need it
        """How many requests a listing of a small calendar takes."""
        return 1

    def resources_of(self, appointment: TrueAppointment) -> tuple[str, ...]:
        """Where the appointment takes place, as the pipeline names it."""
        place = self.place_of(appointment)
        return () if place is None else (self.places.get(place, "other"),)

    def simulated(self, city: str) -> SimulatedClinic:
        """The clinic whose time zone is that of ``city``."""
        (found,) = (each for each in self.clinics if each.timezone.endswith(city))
        return found
