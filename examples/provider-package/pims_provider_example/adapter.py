"""The connection to one clinic's Paw Planner."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

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
from pims_pipeline.providers.http.client import open_client
from pims_pipeline.providers.http.errors import GONE, error_of_body, error_of_status, text_in
from pims_pipeline.providers.http.exchange import Account, Exchange
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.parsing.decoding import parse_json
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    PimsError,
    SessionExpired,
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

PER_SECOND = 10.0
"""What the vendor allows, unless the installation sets a rate."""


class PawPlannerProvider:
    """Paw Planner, opened with a key; it can look up single appointments."""

    def __init__(self, clinic: Clinic, options: ProviderOptions) -> None:
        self._clinic = clinic
        self._options = options.requests
        self._stop = StopSignal()
        self._opened: tuple[httpx2.Client, Exchange] | None = None
        self._location = ""

    def watch(self, stop: StopSignal) -> None:
        """See the port."""
        self._stop = stop

    def authenticate(self, credentials: Credentials) -> bool:
        """See the port: the key must open the clinic's location."""
        self.close()
        self._location = credentials["location"]
        self._opened = self._connected(credentials["api_key"])
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
        record = self._get(_path_of(appointment_id), what="one appointment")
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
        note = self._get(f"{_path_of(appointment.appointment_id)}/note", what="a consultation")
        return None if note is None else consultation_in(note, appointment)

    def close(self) -> None:
        """See the port."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].close()

    def _connected(self, key: str) -> tuple[httpx2.Client, Exchange]:
        """The client that sends the key, and what retries, limits and explains its requests."""
        address, options = self._clinic.provider_base_url, self._options
        http = open_client(
            base_url=address,
            headers={"X-Api-Key": key},
            timeout=httpx2.Timeout(options.read_timeout, connect=options.connect_timeout),
        )
        account = Account("Paw Planner", address, digest(f"{address} {key}"), PER_SECOND)
        clock = partial(datetime.now, UTC)
        stop, error_of = self._stop, _error_of
        return http, Exchange(http, account, options, clock=clock, stop=stop, error_of=error_of)

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
        """The JSON of a response; None for a 404."""
        opened = self._opened
        if opened is None:
            raise SessionExpired(f"There is no login for {self._clinic.provider_base_url} yet.")
        http, exchange = opened
        response = exchange.respond(
            lambda: http.build_request("GET", path, params=query), what=what
        )
        if response.status_code in GONE:
            return None
        try:
            return parse_json(text_in(response))
        except ValueError:
            # The error's own text would quote the response.
            pass
        raise ContractViolation(f"Cannot read {what} from Paw Planner: it is not JSON.")


def _error_of(response: httpx2.Response, failed: str) -> PimsError | None:
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return SessionExpired(f"{failed}: it does not accept the key any more.")
    error = error_of_status(response, failed)
    if error is None and response.status_code not in GONE:
        error = error_of_body(response, failed)
    return error


def _list_in(response: Any, name: str) -> list[Any]:
    if isinstance(response, dict) and isinstance(found := response.get(name), list):
        return found
    raise ContractViolation(f"Paw Planner sent no list of {name}. Nothing was changed.")


def _pages_in(response: Any) -> int:
    pages = response.get("pages")
    if type(pages) is int and pages >= 0:
        return pages
    raise ContractViolation("Paw Planner does not say how many pages there are.")


def _path_of(appointment_id: str) -> str:
    """Where an appointment is; an identity may have any character."""
    return f"/v1/appointments/{quote(appointment_id, safe='')}"


def _names(records: list[Any]) -> list[str] | None:
    """The identities of the records; None if one has none, which nothing equals."""
    try:
        return sorted(identity_of(each) for each in records)
    except Unreadable:
        return None
