"""The adapter to Vetspire: a key and a location, and nothing but HTTP.

It combines ``client`` (HTTP), ``documents`` (queries), ``listing`` (how a calendar is fetched
whole) and ``parsing`` (what responses mean). Add a query here; what its response means belongs
in ``parsing``.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from pims_pipeline.domain.clinics import Clinic, DateRange, day_bounds
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Proof,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.profiles import ClinicProfile, Location
from pims_pipeline.domain.records.resources import Resource
from pims_pipeline.domain.records.series import series_of
from pims_pipeline.domain.records.shapes import combined
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    ContractViolation,
    Credentials,
    SessionExpired,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.providers.vetspire import documents
from pims_pipeline.providers.vetspire.batches import rows_by_identity
from pims_pipeline.providers.vetspire.changes import fetch_changes
from pims_pipeline.providers.vetspire.client import ReportedErrors, VetspireClient
from pims_pipeline.providers.vetspire.consultations import Consultations
from pims_pipeline.providers.vetspire.listing import PAGE_ROWS, Page, Span, fetch_calendar
from pims_pipeline.providers.vetspire.parsing import lookup
from pims_pipeline.providers.vetspire.parsing.consultation import parse_encounter
from pims_pipeline.providers.vetspire.parsing.data import items_of, violation
from pims_pipeline.providers.vetspire.parsing.listing import (
    ReadingRules,
    of_location,
    read_rows,
    type_identities,
)
from pims_pipeline.providers.vetspire.parsing.locations import parse_locations
from pims_pipeline.providers.vetspire.parsing.lookup import parse_lookup
from pims_pipeline.providers.vetspire.parsing.resources import parse_providers
from pims_pipeline.providers.vetspire.parsing.shapes import (
    dictionary_shapes,
    listing_shapes,
    rows_of,
)
from pims_pipeline.providers.vetspire.parsing.types import TypeBook, parse_types
from pims_pipeline.providers.vetspire.type_cache import TypeCache

LOOKUPS_AT_ONCE = 50
RESOURCE_DAYS = timedelta(days=28)
"""How far back and ahead the calendar is searched for providers."""
_MOST_RESOURCE_PAGES = 50
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
"""What an HTTP header can carry."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A key that the vendor accepted, for a location that it opens."""

    client: VetspireClient
    location_id: str
    types: TypeCache
    consultations: Consultations


class VetspireProvider:
    """One location of an organisation at Vetspire.

    Attributes:
        page_rows: How many rows of the calendar are requested at once.
    """

    page_rows: ClassVar[int] = PAGE_ROWS

    def __init__(
        self,
        clinic: Clinic,
        options: ProviderOptions,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is sent yet.

        Args:
            clinic: The clinic; its base URL is the GraphQL address.
            options: How to send requests.
            clock: Gives the present time, aware UTC.
        """
        self._zone = clinic.zone
        self._address = clinic.provider_base_url.rstrip("/")
        self._options = options
        self._clock = clock
        self._stop = StopSignal()
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def watch(self, stop: StopSignal) -> None:
        """See the port."""
        self._stop = stop

    def authenticate(self, credentials: Credentials) -> bool:
        """See the port. There is no login: the key counts when it opens the location.

        Raises:
            AuthenticationRejected: If the key cannot be sent, or does not open the location. The
                message names the field.
        """
        key, location_id = credentials["api_key"], credentials["location_id"].strip()
        if _KEY.fullmatch(key) is None:
            raise AuthenticationRejected(
                "field 'api_key': it has characters that no key has, such as a space or a line "
                "break. Store it again with `pims credentials set`."
            )
        client = VetspireClient(
            self._address, key, self._options.requests, clock=self._clock, stop=self._stop
        )
        try:
            is_accepted = self._opens(client, location_id)
        except BaseException:
            client.close()
            raise
        if not is_accepted:
            client.close()
            return False
        types = TypeCache(partial(_fetch_types, client))
        self._replace(_Opened(client, location_id, types, Consultations(client)))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """See the port."""
        opened = self._current()
        fetched_at = self._clock()
        what = f"the calendar of {window}"
        listed = fetch_calendar(
            partial(self._page, opened, what), window, self._zone, page_rows=self.page_rows
        )
        read = self._read(opened, listed.rows, window, fetched_at)
        return replace(
            read,
            quarantined=(*read.quarantined, *listed.failing),
            proof=Proof.PAGES_AGREE if listed.is_whole else None,
        )

    def changes_since(self, moment: datetime, window: DateRange) -> Snapshot | None:
        """See the port. What moved to another location is not among them."""
        opened, fetched_at = self._current(), self._clock()
        changes = fetch_changes(opened.client, opened.location_id, moment, page_rows=self.page_rows)
        if changes is None:
            return None
        read = self._read(opened, changes.rows, window, fetched_at)
        moved = (identity for identity, _ in read.elsewhere)
        return replace(read, changed_since=moment, left=(*changes.deleted, *moved))

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """See the port."""
        opened, asked_at = self._current(), self._clock()
        identity = series_of(appointment_id) or appointment_id
        try:
            data = self._look_up(opened, [identity])
            if documents.alias(0) not in data:
                raise violation(lookup.WHAT, "data without the requested field")
            row = data[documents.alias(0)]
        except ReportedErrors as error:
            if not error.all_unknown:
                raise
            row = None
        rules = self._rules(opened, type_identities([row]))
        return _lookup_of(appointment_id, row, rules, asked_at)

    def lookup_appointments(
        self, appointment_ids: Sequence[str]
    ) -> Mapping[str, AppointmentLookup]:
        """See the port. What the responses do not settle is left out."""
        opened, asked_at = self._current(), self._clock()
        fetch = partial(self._look_up, opened)
        identities = list(dict.fromkeys(series_of(each) or each for each in appointment_ids))
        rows = dict(rows_by_identity(identities, LOOKUPS_AT_ONCE, fetch))
        rules = self._rules(opened, type_identities(rows.values()))
        found: dict[str, AppointmentLookup] = {}
        for each in appointment_ids:
            identity = series_of(each) or each
            if identity in rows:
                try:
                    found[each] = _lookup_of(each, rows[identity], rules, asked_at)
                except ContractViolation:
                    continue
        return found

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """See the port."""
        if appointment.consultation_id is None:
            return None
        row = self._current().consultations.one(appointment.consultation_id)
        return parse_encounter(row, appointment=appointment, zone=self._zone)

    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        """See the port. What cannot be read is left out."""
        identities = list(
            dict.fromkeys(each.consultation_id for each in appointments if each.consultation_id)
        )
        rows = dict(self._current().consultations.many(identities))
        found: dict[str, PimsConsultation | None] = {}
        for each in appointments:
            identity = each.consultation_id
            if identity is not None and identity not in rows:
                continue
            row = None if identity is None else rows[identity]
            try:
                found[each.appointment_id] = parse_encounter(row, appointment=each, zone=self._zone)
            except ContractViolation:
                continue
        return found

    def list_resources(self) -> tuple[Resource, ...]:
        """See the port. The providers who have appointments four weeks back or ahead.

        The vendor documents no list of those who work at one location.
        """
        opened, today = self._current(), self._clock().astimezone(self._zone).date()
        start, end = day_bounds(DateRange(today - RESOURCE_DAYS, today + RESOURCE_DAYS), self._zone)
        rows: list[object] = []
        for number in range(_MOST_RESOURCE_PAGES):
            page = Page(Span(start, end), offset=number * PAGE_ROWS)
            data = opened.client.query(
                documents.PROVIDERS, self._variables(opened, page), what="the providers"
            )
            found = items_of(data, "appointments", "the providers")
            rows += found
            if len(found) < PAGE_ROWS:
                break
        return parse_providers(of_location(rows, opened.location_id))

    def clinic_profile(self) -> ClinicProfile:
        """See the port."""
        opened = self._current()
        locations = _request_locations(opened.client)
        types = opened.types.book()
        return ClinicProfile(
            location_id=opened.location_id,
            locations=parse_locations(locations),
            types=tuple(types.types.values()),
            shapes=combined((*dictionary_shapes(locations), *opened.types.take_shapes())),
        )

    def close(self) -> None:
        """See the port."""
        self._replace(None)

    def _opens(self, client: VetspireClient, location_id: str) -> bool:
        """Whether the vendor accepts the key.

        Raises:
            AuthenticationRejected: If the key does not open the location.
        """
        try:
            locations = parse_locations(_request_locations(client))
        except SessionExpired:
            return False
        if all(each.id != location_id for each in locations):
            raise AuthenticationRejected(_not_opened(location_id, locations))
        return True

    def _page(self, opened: _Opened, what: str, page: Page) -> list[object]:
        document = documents.IDENTITIES if page.identities_alone else documents.PAGE
        data = opened.client.query_records(
            document, self._variables(opened, page), what=what, tries=page.tries
        )
        rows = rows_of(data, what)
        return of_location(rows, opened.location_id) if page.identities_alone else rows

    def _variables(self, opened: _Opened, page: Page) -> dict[str, object]:
        return {
            "loc": opened.location_id,
            "start": page.span.start.astimezone(self._zone).isoformat(),
            "end": page.span.end.astimezone(self._zone).isoformat(),
            "limit": page.limit,
            "offset": page.offset,
        }

    def _read(
        self, opened: _Opened, rows: Sequence[object], window: DateRange, fetched_at: datetime
    ) -> Snapshot:
        """The rows as a snapshot that proves nothing."""
        rules = self._rules(opened, type_identities(rows))
        read = read_rows(rows, rules, window=window, fetched_at=fetched_at)
        records = read.records
        return Snapshot(
            window=window,
            appointments=records.appointments,
            quarantined=records.quarantined,
            fetched_at=fetched_at,
            proof=None,
            elsewhere=tuple((a.vendor_identity, a.scheduled_start) for a in records.elsewhere),
            oddities=read.oddities,
            shapes=combined((*listing_shapes(rows), *opened.types.take_shapes())),
        )

    def _rules(self, opened: _Opened, type_ids: set[str]) -> ReadingRules:
        return ReadingRules(opened.location_id, self._zone, opened.types.book_for(type_ids))

    def _look_up(self, opened: _Opened, identities: Sequence[str]) -> Mapping[str, object]:
        return opened.client.query(
            documents.lookups(len(identities)),
            documents.identities(identities),
            what=lookup.WHAT if len(identities) == 1 else "several appointments",
        )

    def _current(self) -> _Opened:
        with self._lock:
            opened = self._opened
        if opened is None:
            raise SessionExpired(f"No key was checked yet for {self._address}; log in first.")
        return opened

    def _replace(self, opened: _Opened | None) -> None:
        with self._lock:
            former, self._opened = self._opened, opened
        if former is not None:
            former.client.close()


def _lookup_of(
    appointment_id: str, row: object, rules: ReadingRules, asked_at: datetime
) -> AppointmentLookup:
    identity = series_of(appointment_id) or appointment_id
    found = parse_lookup(row, appointment_id=identity, rules=rules, asked_at=asked_at)
    return replace(found, appointment_id=appointment_id)


def _fetch_types(client: VetspireClient) -> TypeBook:
    return parse_types(client.query(documents.TYPES, {}, what="the appointment types"))


def _request_locations(client: VetspireClient) -> Mapping[str, object]:
    return client.query(documents.LOCATIONS, {}, what="the locations")


def _not_opened(location_id: str, locations: Sequence[Location]) -> str:
    opened = ", ".join(f"{each.id} ({each.name})" for each in locations) or "none"
    return (
        f"field 'location_id': the key does not open the location {location_id!r}; it opens: "
        f"{opened}. Store the right one with `pims credentials set`."
    )
