"""IDEXX Neo."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from pims_pipeline.domain.clinics import Clinic, local_to_utc
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.simulator.control_client import TrueAppointment
from pims_pipeline.simulator.faults import FaultKind
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor


class AtIdexxNeo(AtVendor):
    """IDEXX Neo: sessions, rooms, and a listing in one response."""

    name = "idexx_neo"
    clinics = DEFAULT_CLINICS
    has_sessions = True
    has_pages = False
    always_wrong = (
        FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.NOT_A_LIST, FaultKind.TRUNCATED_JSON,
        FaultKind.CUT_OFF, FaultKind.RATE_LIMITED, FaultKind.SESSION_EXPIRED_HTML,
    )  # fmt: skip
    places: ClassVar = {"Room 1": "room:11", "Room 2": "room:12", "Annexe": "room:other"}
    """The vendor's dictionary lacks the annexe."""
    place_action = "move_to_room"
    filters = (
        ResourceFilter(excluded=frozenset({"room:12"})),
        ResourceFilter(included=frozenset({"room:11"})),
        ResourceFilter(included=frozenset({"room:11", "room:12"})),
    )

    def place_of(self, appointment: TrueAppointment) -> str | None:
        return appointment.room

    def words_for(self, status: str) -> Sequence[str]:
        return (status,)

    def end_of(self, appointment: TrueAppointment, start: datetime, clinic: Clinic) -> datetime:
        return max(start, local_to_utc(appointment.end, clinic.zone))
