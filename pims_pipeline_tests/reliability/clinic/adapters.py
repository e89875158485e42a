"""The real adapters, as these tests open them: each call is reported to the clinic."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import httpx2

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.port import Credentials, PimsProvider, SessionState, TransientError
from pims_pipeline.providers.vetspire.listing import Page
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline_tests.providers.simulated_login import session_without_browser
from pims_pipeline_tests.reliability.clinic.calls import CallsSide
from pims_pipeline_tests.reliability.clinic.state import FOREVER


class BrowserlessNeo(IdexxNeoProvider):
    """The real adapter, which sends the login form over HTTP instead of in a browser."""

    def __init__(self, synced: CallsSide) -> None:
        super().__init__(synced.clinic, synced.provider_options(), clock=synced.servers.host_clock)
        self._synced = synced

    def authenticate(self, credentials: Credentials) -> bool:  # noqa: ARG002 - the login uses the simulator's
        try:
            state = session_without_browser(self._synced.servers.base_url, self._synced.company)
        except (AssertionError, httpx2.TransportError) as error:
            raise TransientError("cannot load the login page; try again later") from error
        # The store expires sessions by the machine's clock, which is not the vendor's.
        self.restore_session(SessionState(state.data, FOREVER))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        return self._synced.called("listing", partial(super().fetch_appointments, window))

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if appointment.consultation_id is None:
            return None  # without a request
        fetch = partial(super().fetch_consultation, appointment)
        return self._synced.called("consultation", fetch)

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        look_up = partial(super().lookup_appointment, appointment_id)
        return self._synced.called("appointment", look_up)


class ReportingVetspire(VetspireProvider):
    """The real adapter, which reports its calls and each page of a listing.

    Its pages are small, so that a day of a few appointments has several.
    """

    page_rows = 10

    def __init__(self, synced: CallsSide) -> None:
        super().__init__(synced.clinic, synced.provider_options(), clock=synced.servers.host_clock)
        self._synced = synced

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        return self._synced.called(
            "listing",
            partial(super().fetch_appointments, window),
            requests=self._synced.at.listing_requests(window),
        )

    def changes_since(self, moment: datetime, window: DateRange) -> Snapshot | None:
        fetch = partial(super().changes_since, moment, window)
        return self._synced.called("listing", fetch, requests=2)

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if appointment.consultation_id is None:
            return None  # without a request
        fetch = partial(super().fetch_consultation, appointment)
        return self._synced.called("consultation", fetch)

    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        fetch = partial(super().fetch_consultations, appointments)
        return self._synced.called("consultation", fetch)

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        look_up = partial(super().lookup_appointment, appointment_id)
        return self._synced.called("appointment", look_up)

    def lookup_appointments(
        self, appointment_ids: Sequence[str]
    ) -> Mapping[str, AppointmentLookup]:
        look_up = partial(super().lookup_appointments, appointment_ids)
        return self._synced.called("appointment", look_up)

    def _page(self, opened: Any, what: str, page: Page) -> list[object]:
        rows = super()._page(opened, what, page)
        self._synced.got_page()
        return rows


def opened(synced: CallsSide) -> PimsProvider:
    """The adapter of the clinic's vendor, not logged in."""
    if synced.at.name == "vetspire":
        return ReportingVetspire(synced)
    return BrowserlessNeo(synced)
