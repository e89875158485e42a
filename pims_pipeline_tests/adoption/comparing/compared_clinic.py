"""Comparing a clinic of both layouts that was adopted and synced: what a test of it needs."""

from datetime import date, timedelta

from sqlalchemy import Engine

from pims_pipeline.adoption.comparison import Comparison, compare_and_keep
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.kinds import DifferenceKind
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline_tests.adoption.planted import LOGIN, PlantedClinic, V4Installation
from pims_pipeline_tests.adoption.test_shadow import book_day
from pims_pipeline_tests.adoption.ways import adopted
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.sync.bench import NOW, Bench
from pims_pipeline_tests.sync.faults.two_days import full_sync

LATER = NOW + timedelta(hours=12)
"""After all that these tests change."""
Kinds = set[tuple[str, DifferenceKind]]


def synced_there(theirs: V4Installation) -> None:
    """Let v4.0 complete its syncs after all changes."""
    theirs.run("UPDATE case_sync_audits SET started_at = %s", LATER)


def synced_here(engine: Engine, wanted: AdoptionRequest, planted: PlantedClinic) -> Bench:
    """Adopt the clinic, and sync it once."""
    clinic = adopted(engine, wanted).clinic
    assert clinic.id == planted.id
    vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
    book_day(vendor)
    vendor.record_appointment("6")
    return full_sync(engine, clinic, vendor, 1)


def compared(engine: Engine, first: date | None = None, last: date | None = None) -> Comparison:
    """Compare the planted clinic."""

    def choose(synced: DateRange) -> DateRange:
        return DateRange(first or synced.start, last or synced.end)

    return compare_and_keep(engine, "riverbend", LATER, choose)


def kinds(comparison: Comparison) -> Kinds:
    """The appointments that differ, each with the kind."""
    return {(each.appointment_id, each.kind) for each in comparison.differences}


def planted_kinds(theirs: V4Installation) -> Kinds:
    """What the planted clinic differs in after a sync."""
    found = {("3", DifferenceKind.RETIRED_THERE), ("5", DifferenceKind.DUPLICATE_THERE)}
    return found | ({("2", DifferenceKind.TIME_SHIFTED)} if theirs.is_deployed else set())
