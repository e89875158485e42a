"""The adapter to IDEXX Neo: a browser logs in, HTTP does the rest.

It combines ``login`` (the browser), ``client`` (HTTP), ``session`` (what is kept between processes)
and ``parsing`` (what responses mean). Add a request here; what its response means belongs there.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time
from urllib.parse import quote

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.profiles import ClinicProfile
from pims_pipeline.domain.records.resources import Resource, ResourceKind
from pims_pipeline.domain.records.series import series_of
from pims_pipeline.providers.idexx_neo.client import IdexxNeoClient
from pims_pipeline.providers.idexx_neo.login.attempt import Accepts, login
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.dictionary import (
    needs_providers,
    parse_dictionary,
    parse_profile,
    with_providers,
)
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing, parse_lookup
from pims_pipeline.providers.idexx_neo.session import (
    NeoSession,
    SessionCookie,
    account_of,
    exported,
    restored,
    session_end,
)
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    PimsError,
    SessionExpired,
    SessionState,
)
from pims_pipeline.providers.stop_signal import StopSignal

_LAST_SECOND = time(23, 59, 59)


class IdexxNeoProvider:
    """One clinic's IDEXX Neo, with every capability of the port.

    Attributes:
        browser_launches: The logins that this object has tried; a warm sync needs none.
    """

    def __init__(
        self,
        clinic: Clinic,
        options: ProviderOptions,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Not logged in yet.

        Args:
            clinic: The clinic whose IDEXX Neo it is.
            options: How to log in and how to send requests.
            clock: Gives the present time, aware UTC.
        """
        self.browser_launches = 0
        self._zone = clinic.zone
        self._base_url = clinic.provider_base_url.rstrip("/")
        self._slug = clinic.slug
        self._syncs_by_provider = clinic.resources.names_any(ResourceKind.PROVIDER)
        self._options = options
        self._stop = StopSignal()
        self._clock = clock
        self._lock = threading.Lock()
        self._session: NeoSession | None = None
        self._client: IdexxNeoClient | None = None

    def watch(self, stop: StopSignal) -> None:
        """See the port."""
        self._stop = stop

    def authenticate(self, credentials: Credentials) -> bool:
        """See the port. Also raises ``BrowserUnavailable`` when there is no Chromium.

        The session counts only when a first request succeeds with it: the calendar of today is
        fetched with the browser's cookies, once where the login works.
        """
        self.browser_launches += 1
        logged_in_at = self._clock()

        def accepts(cookies: tuple[SessionCookie, ...], seconds: float) -> bool:
            session = NeoSession(
                account=account_of(self._base_url, credentials),
                base_url=self._base_url,
                cookies=cookies,
                expires_at=session_end(cookies, logged_in_at),
            )
            return self._adopt(session, seconds)

        return self._log_in_with_browser(credentials, accepts) is not None

    def _log_in_with_browser(
        self, credentials: Credentials, accepts: Accepts
    ) -> tuple[SessionCookie, ...] | None:
        """Let a browser log in; see ``login.attempt``."""
        return login(
            self._base_url,
            credentials,
            self._options.login,
            accepts=accepts,
            subject=self._slug,
            stop=self._stop,
        )

    def _adopt(self, session: NeoSession, seconds: float) -> bool:
        """Whether the vendor accepts a first request within ``session``, which is then used.

        Args:
            session: With the browser's cookies.
            seconds: The timeout of the request with its retries.

        Raises:
            TransientError, ContractViolation: If nothing can be concluded from the response:
                it is no calendar, or says that the vendor is under maintenance.
        """
        stop = self._stop.child(
            seconds=seconds, explanation="the first request after a login took too long"
        )
        client = self._client_for(session, stop)
        try:
            if not self._accepts(client):
                return False
            renewed = replace(session, cookies=client.cookies())
        finally:
            client.close()
        # A new client: that of the first request has a timeout.
        self._use(renewed, self._client_for(renewed, self._stop))
        return True

    def _accepts(self, client: IdexxNeoClient) -> bool:
        today = self._clock().astimezone(self._zone).date()
        window = DateRange(today, today)
        try:
            body = self._request_calendar(client, window)
        except (SessionExpired, ContractViolation):
            # It may be a page to choose a location, or a redirect to one.
            if client.saw_maintenance:
                raise
            return False
        self._parse_calendar(body, window, self._clock())
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """See the port."""
        fetched_at = self._clock()
        body = self._request_calendar(self._current_client(), window)
        snapshot = self._parse_calendar(body, window, fetched_at)
        # Only then: without the ids, it would be unknown whom the clinic leaves out.
        if self._syncs_by_provider and needs_providers(snapshot):
            return with_providers(snapshot, self.list_resources())
        return snapshot

    def list_resources(self) -> tuple[Resource, ...]:
        """See the port."""
        return parse_dictionary(self._request_dictionary())

    def clinic_profile(self) -> ClinicProfile:
        """See the port."""
        return parse_profile(self._request_dictionary())

    def _request_dictionary(self) -> bytes:
        what = "the calendar's rooms and providers"
        body = self._request("/appointments/getAppointmentView", {}, what=what)
        if body is None:
            raise ContractViolation(
                f"Cannot fetch {what} from IDEXX Neo at {self._base_url}: it responded that there "
                "are none (404 or 410). Nothing was changed; check the clinic's base URL."
            )
        return body

    def _request(self, path: str, query: dict[str, str], *, what: str) -> bytes | None:
        """The body of the vendor's response; see ``IdexxNeoClient.get``.

        Where the vendor refuses this request alone, another login would not help, and every sync
        would log in for nothing. So the session is checked before it counts as expired.
        """
        client = self._current_client()
        try:
            return client.get(path, query, what=what)
        except SessionExpired as error:
            expired = error
        try:
            alive = self._accepts(client)
        except PimsError:
            alive = False
        if not alive:
            raise expired
        raise ContractViolation(
            f"Cannot fetch {what} from IDEXX Neo at {self._base_url}: it wants a login, although "
            "it accepts the session for the calendar. Check what the clinic's account may see."
        )

    def _request_calendar(self, client: IdexxNeoClient, window: DateRange) -> bytes | None:
        # Whole days: whether the end is inclusive is unknown, and records beyond the window are
        # filtered out.
        query = {
            "start": f"{window.start.isoformat()} 00:00:00",
            "end": f"{datetime.combine(window.end, _LAST_SECOND):%Y-%m-%d %H:%M:%S}",
        }
        path = "/appointments/getCalendarEventData"
        return client.get(path, query, what=f"the calendar of {window}")

    def _parse_calendar(
        self, body: bytes | None, window: DateRange, fetched_at: datetime
    ) -> Snapshot:
        if body is None:
            raise ContractViolation(
                f"Cannot fetch the calendar of {window} from IDEXX Neo at {self._base_url}: it "
                "responded that there is none (404 or 410). Nothing was changed; check "
                "the clinic's base URL."
            )
        return parse_listing(body, window=window, zone=self._zone, fetched_at=fetched_at)

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """See the port."""
        if appointment.consultation_id is None:
            return None
        identity = quote(appointment.consultation_id, safe="")
        path = f"/consultations/{identity}/page-data"
        body = self._request(path, {}, what="a consultation")
        return None if body is None else parse_consultation(body, appointment=appointment)

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """See the port."""
        asked_at = self._clock()
        # The vendor knows an appointment of a series by the series' identity alone.
        identity = series_of(appointment_id) or appointment_id
        query = {"id": identity}
        body = self._request("/appointments/getAppointment", query, what="one appointment")
        if body is None:
            return AppointmentLookup(appointment_id=appointment_id, asked_at=asked_at, found=False)
        found = parse_lookup(body, appointment_id=identity, zone=self._zone, asked_at=asked_at)
        return replace(found, appointment_id=appointment_id)

    def export_session(self) -> SessionState:
        """See the port. The vendor may have renewed the cookies since the login."""
        with self._lock:
            session, client = self._session, self._client
        if session is None or client is None:
            raise SessionExpired(
                f"There is no session to export for {self._base_url}; log in first."
            )
        return exported(replace(session, cookies=client.cookies()))

    def restore_session(self, state: SessionState) -> None:
        """See the port."""
        session = restored(state, base_url=self._base_url, now=self._clock())
        self._use(session, self._client_for(session, self._stop))

    def close(self) -> None:
        """See the port. The browser never outlives ``authenticate``."""
        with self._lock:
            client, self._client, self._session = self._client, None, None
        if client is not None:
            client.close()

    def _client_for(self, session: NeoSession, stop: StopSignal) -> IdexxNeoClient:
        return IdexxNeoClient(session, self._options.requests, stop=stop, clock=self._clock)

    def _use(self, session: NeoSession, client: IdexxNeoClient) -> None:
        with self._lock:
            former, self._client, self._session = self._client, client, session
        if former is not None:
            former.close()

    def _current_client(self) -> IdexxNeoClient:
        with self._lock:
            client = self._client
        if client is None:
            raise SessionExpired(f"There is no session for {self._base_url}; log in first.")
        return client
