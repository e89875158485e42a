"""The connection to one clinic's Paw Planner."""

from datetime import UTC, datetime
from typing import Any

import httpx2

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    Snapshot,
)
from pims_pipeline.domain.records.canonical import digest
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.http.client import (
    RequestTimedOut,
    ResponseTooLarge,
    get,
    open_client,
)
from pims_pipeline.providers.http.rate_limit import bucket_for
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_provider_example.parsing import (
    Unreadable,
    appointment_in,
    consultation_in,
    identity_of,
    location_of,
    set_aside,
)

TRIES = 4
_FAILED = (RequestTimedOut, ResponseTooLarge, httpx2.TransportError, httpx2.DecodingError)


class PawPlannerProvider:
    """Paw Planner, opened with a key; it can look up single appointments."""

    def __init__(self, clinic: Clinic, options: ProviderOptions) -> None:
        self._clinic = clinic
        self._options = options.requests
        self._stop = StopSignal()
        self._http: httpx2.Client | None = None
        self._location = ""
        self._account = ""

    def watch(self, stop: StopSignal) -> None:
        """See the port."""
        self._stop = stop

    def authenticate(self, credentials: Credentials) -> bool:
        """See the port: the key must open the clinic's location."""
        self.close()
        key, self._location = credentials["api_key"], credentials["location"]
        self._account = digest(f"paw_planner {self._clinic.provider_base_url} {key}")
        self._http = open_client(
            base_url=self._clinic.provider_base_url,
            headers={"X-Api-Key": key},
            timeout=httpx2.Timeout(
                self._options.read_timeout, connect=self._options.connect_timeout
            ),
        )
        try:
            opened = self._get("/v1/locations", what="the locations")
        except SessionExpired:
            opened = None
        if opened is None or self._location not in _list_in(opened, "locations"):
            self.close()
            return False
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """See the port.

        The pages shift when someone books or deletes between two requests. So a listing of
        several pages is whole only if a second pass over them finds the same records.
        """
        fetched_at = datetime.now(UTC)
        records, pages = self._pass(window)
        proof: Proof | None = Proof.ONE_RESPONSE
        if pages > 1:
            again, _ = self._pass(window)
            proof = Proof.PAGES_AGREE if _names(records) == _names(again) else None
        appointments, quarantined = self._sorted(records, window)
        return Snapshot(
            window=window,
            appointments=tuple(appointments.values()),
            quarantined=tuple(quarantined.values()),
            fetched_at=fetched_at,
            proof=proof,
        )

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """See the port."""
        asked_at = datetime.now(UTC)
        record = self._get(f"/v1/appointments/{appointment_id}", what="one appointment")
        if record is None:
            return AppointmentLookup(appointment_id=appointment_id, asked_at=asked_at, found=False)
        try:
            found, location = appointment_in(record, self._clinic.zone), location_of(record)
        except Unreadable as problem:
            raise ContractViolation(
                f"Cannot read one appointment from Paw Planner: its field {problem} is not as "
                "promised. Nothing was changed."
            ) from problem
        if (found.appointment_id, location) != (appointment_id, self._location):
            raise ContractViolation("Paw Planner sent another appointment than the requested one.")
        return AppointmentLookup(
            appointment_id=appointment_id,
            asked_at=asked_at,
            found=True,
            kind=found.kind,
            status=found.status,
            scheduled_start=found.scheduled_start,
            scheduled_end=found.scheduled_end,
            business_date=found.business_date,
        )

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """See the port."""
        path = f"/v1/appointments/{appointment.appointment_id}/note"
        note = self._get(path, what="a consultation")
        return None if note is None else consultation_in(note, appointment)

    def close(self) -> None:
        """See the port."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def _pass(self, window: DateRange) -> tuple[list[Any], int]:
        """The records of all pages, and how many pages there were."""
        records: list[Any] = []
        page, pages = 0, 1
        while page < pages:
            page += 1
            what = f"page {page} of the calendar of {window}"
            query = {"from": str(window.start), "to": str(window.end), "page": str(page)}
            response = self._get("/v1/calendar", query, what=what)
            records += _list_in(response, "items")
            pages = _pages_in(response)
        return records, pages

    def _sorted(
        self, records: list[Any], window: DateRange
    ) -> tuple[dict[str, PimsAppointment], dict[str, QuarantinedRecord]]:
        """The clinic's own records, each identity once: the readable ones, and the others."""
        readable: dict[str, PimsAppointment] = {}
        unreadable: dict[str, QuarantinedRecord] = {}
        for record in records:
            try:
                if location_of(record) != self._location:
                    continue
                found = appointment_in(record, self._clinic.zone)
            except Unreadable as problem:
                aside = set_aside(record, problem)
                unreadable[aside.record_key] = aside
            else:
                if found.business_date in window:
                    readable[found.appointment_id] = found
        return readable, unreadable

    def _get(self, path: str, query: dict[str, str] | None = None, *, what: str) -> Any:
        """The JSON of a response; None for a 404. Transient failures are tried again."""
        for attempt in range(1, TRIES):
            try:
                return self._get_once(path, query or {}, what)
            except TransientError:
                self._stop.wait(self._options.retry_base_delay * 2**attempt)
        return self._get_once(path, query or {}, what)

    def _get_once(self, path: str, query: dict[str, str], what: str) -> Any:
        failed = f"Cannot fetch {what} from Paw Planner at {self._clinic.provider_base_url}"
        if self._http is None:
            raise SessionExpired(f"{failed}: there is no login yet.")
        bucket_for(self._account, self._options.per_second or 10).take(self._stop.wait)
        try:
            response = get(
                self._http, path, query, stop=self._stop, seconds=self._options.total_timeout
            )
        except _FAILED as error:
            raise TransientError(f"{failed}: {type(error).__name__}. Try again later.") from error
        status = response.status_code
        if status == httpx2.codes.NOT_FOUND:
            return None
        if status == httpx2.codes.UNAUTHORIZED:
            raise SessionExpired(f"{failed}: it does not accept the key any more.")
        if status == httpx2.codes.TOO_MANY_REQUESTS or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise TransientError(f"{failed}: it responded with status {status}. Try again later.")
        if status != httpx2.codes.OK:
            raise ContractViolation(f"{failed}: it responded with status {status}.")
        try:
            return response.json()
        except ValueError:
            # The error's own text would quote the response.
            pass
        raise ContractViolation(f"{failed}: the response is not JSON. Nothing was changed.")


def _list_in(response: Any, name: str) -> list[Any]:
    if isinstance(response, dict) and isinstance(found := response.get(name), list):
        return found
    raise ContractViolation(f"Paw Planner sent no list of {name}. Nothing was changed.")


def _pages_in(response: Any) -> int:
    pages = response.get("pages")
    if type(pages) is int and pages >= 0:
        return pages
    raise ContractViolation("Paw Planner does not say how many pages there are.")


def _names(records: list[Any]) -> list[str] | None:
    """The identities of the records; None if one has none, which nothing equals."""
    try:
        return sorted(identity_of(each) for each in records)
    except Unreadable:
        return None
