"""A vendor that does everything wrong, with canaries in what it says, and what becomes of that.

Its answers are the simulator's: struck by a fault, or with a canary in a place where it cannot
be meant.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.orchestration.launching import run_in_process
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing, parse_lookup
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, FaultKind
from pims_pipeline.simulator.state import build_simulator
from pims_pipeline.simulator.vendors.idexx_neo.wire import (
    Json,
    appointment_body,
    consultation_body,
    listing_record,
)
from pims_pipeline_tests.canary import Canary
from pims_pipeline_tests.canary_practice import Endpoint, Practice
from pims_pipeline_tests.cli.processes import TIMEOUT_SECONDS
from pims_pipeline_tests.providers.simulated_login import session_without_browser

STRIKES: Mapping[str, tuple[str, Endpoint]] = {
    f"{kind.replace('_', '-')}-{endpoint}": (kind.value, endpoint)
    for kind, endpoint in product(FaultKind, get_args(Endpoint))
    if endpoint == "listing" or kind not in RECORD_FAULTS
    if kind is not FaultKind.LATENCY
}
"""Each fault and where it strikes, by the slug of the clinic that it is to strike."""
_STALLED = tuple(kind.replace("_", "-") for kind in STALLS)
_ONLY_ODD = ("odd-bytes", "json-as-html", "odd-descriptions")
_ODD_LOOK_UPS = ("not-a-list-appointment", "html-appointment")
HARMLESS = {"duplicates-listing", "drop-record-listing", *_ODD_LOOK_UPS} | {
    slug for slug in STRIKES if slug.startswith(_ONLY_ODD)
}
"""Those whose fault is made good, or is read all the same, or leaves a case waiting: a few odd
look-ups do not yet fail a reconciliation.
"""
BROKEN = "broken"
"""The slug of a clinic at which the adapter itself fails, in a way that nobody foresaw."""
ADAPTER = "errors of the adapter"
"""The place where those of ``Witnessed`` are evidence."""


def _request_options(clinic: Clinic) -> RequestOptions:
    hangs, stalls = (clinic.slug.startswith(kind) for kind in (FaultKind.HANG, _STALLED))
    return RequestOptions(
        per_second=100_000,
        retry_base_delay=0.001,
        read_timeout=0.2 if hangs else TIMEOUT_SECONDS,
        total_timeout=0.2 if stalls else TIMEOUT_SECONDS,
    )


class Witnessed(IdexxNeoProvider):
    """The real adapter, but for the browser: its form is sent over HTTP. Its errors are evidence.

    Args:
        house: Where the clinic is.
        clinic: Whose vendor is asked.
        unforeseen: Raised in the middle of a phase at the clinic called ``BROKEN``.
    """

    def __init__(self, house: Practice, clinic: Clinic, unforeseen: Exception) -> None:
        super().__init__(
            clinic,
            ProviderOptions(
                login=LoginOptions(artifacts_dir=house.home / "logins"),
                requests=_request_options(clinic),
            ),
        )
        self._house = house
        self._company = house.companies[clinic.slug]
        self._unforeseen = unforeseen if clinic.slug == BROKEN else None

    def authenticate(self, credentials: Credentials) -> bool:
        assert credentials.password == self._house.password.text
        self.restore_session(session_without_browser(self._base_url, self._company))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        with self._witnessed():
            snapshot = super().fetch_appointments(window)
        if self._unforeseen is not None:
            raise self._unforeseen
        return snapshot

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        with self._witnessed():
            return super().fetch_consultation(appointment)

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        with self._witnessed():
            return super().lookup_appointment(appointment_id)

    @contextmanager
    def _witnessed(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._house.evidence.add_error(ADAPTER, error)
            raise


def sync_while_struck(house: Practice, unforeseen: Exception) -> None:
    """Sync yesterday at all clinics of ``STRIKES``, once soundly and once with their faults.

    What Dagster keeps of that is evidence, and what is logged.
    """
    slugs = (*STRIKES, BROKEN)
    day = DateRange(house.days.start, house.days.start)
    appointments: dict[str, tuple[str, str]] = {}
    for slug in slugs:
        house.open_clinic(slug)
        appointments[slug] = (house.book(slug, day.start, 9), house.book(slug, day.start, 10))

    @contextmanager
    def store() -> Iterator[Engine]:
        yield house.engine

    sources = Sources(
        open_store=store,
        open_vault=lambda: house.vault,
        open_provider=lambda clinic: Witnessed(house, clinic, unforeseen),
    )
    definitions = code_location(sources, partition_start=day.start)
    with dg.DagsterInstance.ephemeral() as instance, house.evidence.logging("log of the runs"):

        def sync(job: str) -> None:
            run_in_process(
                definitions,
                job,
                slugs=slugs,
                window=day,
                partition_start=day.start,
                instance=instance,
                engine=house.engine,
            )

        sync("inbound_sync")
        for slug, (kind, endpoint) in STRIKES.items():
            # One is gone, and looked for; another is left out of a listing by one of the faults.
            gone, other = appointments[slug]
            house.control.delete(house.companies[slug].company_id, gone)
            house.strike(slug, kind, endpoint, appointment_id=other)
        sync("full_sync")
        for run in instance.get_runs():
            house.evidence.add("Dagster", dg.serialize_value(run))
            for entry in instance.all_logs(run.run_id):
                house.evidence.add("Dagster", dg.serialize_value(entry))


def phases_that_failed(house: Practice) -> set[str]:
    """The clinics of which a phase failed, was held, or left something for later."""
    found = house.rows(
        "SELECT slug FROM case_sync_audits JOIN clinics ON clinics.id = clinic_id "
        "WHERE status <> 'completed' UNION "
        "SELECT slug FROM sync_failures JOIN clinics ON clinics.id = clinic_id"
    )
    return {str(row.slug) for row in found}


def read_what_cannot_be_meant(house: Practice, found: Canary) -> set[str]:
    """Read answers with ``found`` in the place of each of their values, and round it.

    Errors are evidence, and so is what is kept of records that cannot be read.

    Returns:
        The kinds of errors that came of it.
    """
    config = house.simulator.config
    practice = build_simulator(config).practices[config.clinics[0].company_id]
    entry, consultation = next(
        (entry, consultation)
        for day in practice.calendar.days(house.days.start - timedelta(days=30), house.days.start)
        for entry in day
        if entry.client and (consultation := practice.calendar.consultation_of(entry))
    )
    window = DateRange(entry.start.date(), entry.start.date())
    listing: Json = [listing_record(entry, practice.clinic.company_id)]
    now, zone = datetime.now(UTC), practice.clinic.zone

    def read_listing(body: bytes) -> Snapshot:
        return parse_listing(body, window=window, zone=zone, fetched_at=now)

    [known] = read_listing(json.dumps(listing).encode()).appointments

    def read_lookup(body: bytes) -> None:
        parse_lookup(body, appointment_id=known.appointment_id, zone=zone, asked_at=now)

    def read_consultation(body: bytes) -> None:
        parse_consultation(body, appointment=known)

    lookup: Json = appointment_body(entry, practice.clinic.company_id)
    record: Json = consultation_body(entry, consultation, practice.clinic)
    kinds: set[str] = set()
    for body in _spoilt(listing, found.text):
        kinds |= _refusals(house, read_listing, body)
    for body in _spoilt(lookup, found.text):
        kinds |= _refusals(house, read_lookup, body)
    for body in _spoilt(record, found.text):
        kinds |= _refusals(house, read_consultation, body)
    return kinds


def _spoilt(answer: Json, text: str) -> Iterator[bytes]:
    """The answer with each of its parts in turn made into something with ``text`` in it."""
    instead: tuple[Json, ...] = (text, [text], {text: text}, [[text]], {"id": text})
    for odd in instead:
        for each in _with_one_part_replaced(answer, odd):
            yield json.dumps(each).encode()
    whole, word = json.dumps(answer).encode(), text.encode()
    yield from (word, b"<p>" + word, whole + word, whole[:-1] + b', "' + word, b"\xff" + word)
    yield whole.replace(b"{", b'{"' + word + b'": [', 1)
    yield b"[" * 100_000 + word


def _with_one_part_replaced(part: Json, odd: Json) -> Iterator[Json]:
    yield odd
    if isinstance(part, dict):
        for name, value in part.items():
            yield from ({**part, name: each} for each in _with_one_part_replaced(value, odd))
    elif isinstance(part, list):
        for place, value in enumerate(part):
            for each in _with_one_part_replaced(value, odd):
                yield [*part[:place], each, *part[place + 1 :]]


def _refusals(house: Practice, read: Callable[[bytes], Snapshot | None], body: bytes) -> set[str]:
    """The kinds of errors, or of unreadable records, that come of reading ``body``."""
    try:
        snapshot = read(body)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is evidence
        house.evidence.add_error(ADAPTER, error)
        return {type(error).__name__}
    quarantined = snapshot.quarantined if snapshot else ()
    for record in quarantined:
        # Its identity is the vendor's own, whatever stands there.
        house.evidence.add("quarantine", f"{record.error_class}: {record.error_message}")
    return {record.error_class for record in quarantined}
