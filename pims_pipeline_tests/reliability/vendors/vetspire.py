"""Vetspire, with small pages, so that a day of a few appointments has several."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.simulator.control_client import TrueAppointment
from pims_pipeline.simulator.faults import FaultKind
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, on_vetspire
from pims_pipeline.simulator.practice.vocabulary import PROVIDERS
from pims_pipeline.simulator.vendors.vetspire.wire import FINISHED, words_for
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor


class AtVetspire(AtVendor):
    """Vetspire: a key for a location, providers instead of rooms, and a listing in pages."""

    name = "vetspire"
    clinics = tuple(
        replace(
            on_vetspire(clinic, f"vetspire-key-of-{clinic.company_id}"),
            company_id=f"5{clinic.company_id}",
            shown_times="utc" if clinic.timezone == "Australia/Sydney" else "offset",
        )
        for clinic in DEFAULT_CLINICS
    )
    has_sessions = False
    has_pages = True
    always_wrong = (
        FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.NOT_A_LIST, FaultKind.TRUNCATED_JSON,
        FaultKind.CUT_OFF, FaultKind.RATE_LIMITED, FaultKind.FORBIDDEN, FaultKind.GRAPHQL_ERRORS,
        FaultKind.PARTIAL_DATA,
    )  # fmt: skip
    places: ClassVar = {
        name: f"provider:{number}" for number, name in enumerate(PROVIDERS, start=1)
    }
    place_action = "move_to_provider"
    filters = (
        ResourceFilter(excluded=frozenset({"provider:2"})),
        ResourceFilter(included=frozenset({"provider:1"})),
        ResourceFilter(included=frozenset({"provider:1", "provider:2"})),
    )

    def place_of(self, appointment: TrueAppointment) -> str | None:
        return appointment.provider

    def words_for(self, status: str) -> Sequence[str]:
        return words_for(status)

    def end_of(self, appointment: TrueAppointment, start: datetime, clinic: Clinic) -> datetime:  # noqa: ARG002 - others need it
        return start + (appointment.end - appointment.start)

    def has_finished_notes(self, appointment: TrueAppointment) -> bool:
        return appointment.status in FINISHED

    def listing_requests(self, window: DateRange) -> int:
        return len(window)
