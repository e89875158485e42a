"""Syncs of one clinic for each fault of the simulator, with every error added to the evidence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, FaultKind, faults_of
from pims_pipeline_tests.canary.practice import Endpoint, Practice
from pims_pipeline_tests.cli.processes import TIMEOUT_SECONDS
from pims_pipeline_tests.providers.simulated_login import session_without_browser

FAULTS: Mapping[str, tuple[str, Endpoint]] = {
    f"{kind.replace('_', '-')}-{endpoint}": (kind.value, endpoint)
    for kind, endpoint in product(faults_of("idexx_neo"), get_args(Endpoint))
    if endpoint == "listing" or kind not in RECORD_FAULTS
    if kind is not FaultKind.LATENCY
}
"""Each fault and its endpoint, by the slug of the clinic that gets it."""
_STALLED = tuple(kind.replace("_", "-") for kind in STALLS)
_ONLY_ODD = ("odd-bytes", "json-as-html", "odd-descriptions")
_ODD_LOOK_UPS = ("not-a-list-appointment", "html-appointment")
HARMLESS = {"duplicates-listing", "drop-record-listing", *_ODD_LOOK_UPS} | {
    slug for slug in FAULTS if slug.startswith(_ONLY_ODD)
}
"""Clinics whose sync completes: the fault is corrected or ignored, or a case waits for a retry.

A few odd look-ups do not fail a reconciliation.
"""
BROKEN = "broken"
"""The slug of a clinic whose adapter raises an unexpected error."""
ADAPTER = "errors of the adapter"
"""The place of the errors of ``RecordedNeo``."""


def _request_options(clinic: Clinic) -> RequestOptions:
    hangs, stalls = (clinic.slug.startswith(kind) for kind in (FaultKind.HANG, _STALLED))
    return RequestOptions(
        per_second=100_000,
        retry_base_delay=0.001,
        read_timeout=0.2 if hangs else TIMEOUT_SECONDS,
        total_timeout=0.2 if stalls else TIMEOUT_SECONDS,
    )


class RecordedNeo(IdexxNeoProvider):
    """The real adapter, with its errors added to the evidence; it logs in without a browser.

    Args:
        practice: Has the clinic and the evidence.
        clinic: The clinic to sync.
        unforeseen: Raised in the middle of a phase of the clinic ``BROKEN``.
    """

    def __init__(self, practice: Practice, clinic: Clinic, unforeseen: Exception) -> None:
        super().__init__(
            clinic,
            ProviderOptions(
                login=LoginOptions(artifacts_dir=practice.home / "logins"),
                requests=_request_options(clinic),
            ),
        )
        self._practice = practice
        self._company = practice.companies[clinic.slug]
        self._unforeseen = unforeseen if clinic.slug == BROKEN else None

    def authenticate(self, credentials: Credentials) -> bool:
        assert credentials["password"] == self._practice.password.text
        self.restore_session(session_without_browser(self._base_url, self._company))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        with self._recorded():
            snapshot = super().fetch_appointments(window)
        if self._unforeseen is not None:
            raise self._unforeseen
        return snapshot

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        with self._recorded():
            return super().fetch_consultation(appointment)

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        with self._recorded():
            return super().lookup_appointment(appointment_id)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._practice.evidence.add_error(ADAPTER, error)
            raise


def sync_with_faults(practice: Practice, unforeseen: Exception) -> None:
    """Sync yesterday for all clinics of ``FAULTS``, once without and once with their faults.

    What Dagster stores and what is logged is evidence.
    """
    slugs = (*FAULTS, BROKEN)
    day = DateRange(practice.days.start, practice.days.start)
    appointments: dict[str, tuple[str, str]] = {}
    for slug in slugs:
        practice.open_clinic(slug)
        appointments[slug] = (practice.book(slug, day.start, 9), practice.book(slug, day.start, 10))

    @contextmanager
    def store() -> Iterator[Engine]:
        yield practice.engine

    sources = Sources(
        open_store=store,
        open_vault=lambda: practice.vault,
        open_provider=lambda clinic: RecordedNeo(practice, clinic, unforeseen),
    )
    definitions = code_location(sources, partition_start=day.start)
    with dg.DagsterInstance.ephemeral() as instance, practice.evidence.logging("log of the runs"):

        def sync(job: str) -> None:
            run_in_process(
                definitions,
                job,
                slugs=slugs,
                window=day,
                partition_start=day.start,
                instance=instance,
                engine=practice.engine,
            )

        sync("inbound_sync")
        for slug, (kind, endpoint) in FAULTS.items():
            # One is deleted, and looked up; one fault leaves the other out of the listing.
            gone, other = appointments[slug]
            practice.control.delete(practice.companies[slug].company_id, gone)
            practice.add_fault(slug, kind, endpoint, appointment_id=other)
        sync("full_sync")
        for run in instance.get_runs():
            practice.evidence.add("Dagster", dg.serialize_value(run))
            for entry in instance.all_logs(run.run_id):
                practice.evidence.add("Dagster", dg.serialize_value(entry))


def clinics_with_failures(practice: Practice) -> set[str]:
    """The clinics with a phase that failed or was held, or with an open failure."""
    found = practice.rows(
        "SELECT slug FROM case_sync_audits JOIN clinics ON clinics.id = clinic_id "
        "WHERE status <> 'completed' UNION "
        "SELECT slug FROM sync_failures JOIN clinics ON clinics.id = clinic_id"
    )
    return {str(row.slug) for row in found}
