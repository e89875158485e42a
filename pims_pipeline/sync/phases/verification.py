"""Verification of stored data: planning again over it must change nothing.

Read-only. Add here what an asset check or a command reads; a finding is a bug or tampering. The
checks themselves belong in ``orchestration``.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from functools import reduce
from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import (
    EnrichmentPlan,
    EnrichmentPolicy,
    plan_enrichment,
)
from pims_pipeline.domain.planning.inbound import InboundPlan, common_to_both, plan_inbound
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    ReconciliationPlan,
    plan_reconciliation,
)
from pims_pipeline.domain.records.series import recognized
from pims_pipeline.domain.records.words import Words
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.store.appointments import stored_snapshot
from pims_pipeline.store.audits import Audit, audits_of_run
from pims_pipeline.store.cases.reading import active_cases, enrichable_cases
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import Failure, open_failures
from pims_pipeline.store.queries.cases import (
    deleted_with_appointment,
    with_another_patients_consultation,
    with_detached_consultation,
    with_implausible_vitals,
    with_repaired_metadata,
    with_unreadable_metadata,
)
from pims_pipeline.store.rejections import rejections
from pims_pipeline.sync.phases.listing import known_of
from pims_pipeline.sync.words import VendorWords, words_of, words_since_sync


def replan_inbound(
    engine: Engine, clinic: Clinic, window: DateRange, *, vendor: VendorWords = vendor_words
) -> InboundPlan:
    """The plan of landing the stored calendar again; empty when all is well.

    The listing is also recognized again. Metadata that the application overwrote is ignored, as the
    sync did not cause it: see ``damaged_cases``. So is a case that follows what its words meant at
    any time since the window was synced.
    """
    with transaction(engine) as connection:
        snapshot = stored_snapshot(connection, clinic, window)
        known = known_of(connection, clinic, snapshot)
        meanings = words_since_sync(connection, clinic, window, vendor)
    listing = recognized(snapshot, known, clinic.zone)
    undamaged = {pims_id: _undamaged(record) for pims_id, record in known.items()}
    plans = (plan_inbound(undamaged, listing, clinic=clinic, words=words) for words in meanings)
    return reduce(common_to_both, plans)


def _undamaged(record: KnownRecord) -> KnownRecord:
    case = record.case
    return replace(record, case=replace(case, damage={})) if case and case.damage else record


def replan_enrichment(
    engine: Engine,
    clinic: Clinic,
    window: DateRange,
    *,
    now: datetime,
    policy: EnrichmentPolicy,
) -> EnrichmentPlan:
    """The consultations that are due at ``now``; empty right after an enrichment."""
    with transaction(engine) as connection:
        cases = enrichable_cases(connection, clinic, window)
    return plan_enrichment(cases, now, policy)


def replan_reconciliation(
    engine: Engine, clinic: Clinic, window: DateRange, *, policy: DeletionPolicy
) -> ReconciliationPlan:
    """The plan over stored data alone; empty when all is well."""
    with transaction(engine) as connection:
        return plan_reconciliation(
            active_cases(connection, clinic, window),
            stored_snapshot(connection, clinic, window),
            policy,
            lookups={},
            rejections=rejections(connection, clinic),
        )


def live_cases_deleted(engine: Engine, clinic: Clinic, window: DateRange) -> list[UUID]:
    """Soft-deleted cases whose appointment is in the landed calendar; none when all is well."""
    with transaction(engine) as connection:
        return deleted_with_appointment(connection, clinic, window)


def implausible_cases(engine: Engine, clinic: Clinic, window: DateRange) -> list[UUID]:
    """Cases with implausible vitals."""
    with transaction(engine) as connection:
        return with_implausible_vitals(connection, clinic, window)


def mixed_up_cases(
    engine: Engine, clinic: Clinic, window: DateRange, audit: Audit | None = None
) -> list[tuple[date, UUID]]:
    """Active cases with another patient's consultation, by date; none when all is well.

    Includes the cases from which the audit's phase removed such a consultation.
    """
    with transaction(engine) as connection:
        repaired = with_detached_consultation(connection, audit.id) if audit else []
        found = with_another_patients_consultation(connection, clinic, window)
    return sorted({*found, *(each for each in repaired if each[0] in window)})


def damaged_cases(
    engine: Engine, clinic: Clinic, window: DateRange, audit: Audit | None
) -> list[tuple[date, UUID]]:
    """Active cases whose metadata is unreadable, or was repaired by the audit's phase, by date."""
    with transaction(engine) as connection:
        repaired = with_repaired_metadata(connection, audit.id) if audit else []
        found = with_unreadable_metadata(connection, clinic, window)
    return sorted({*found, *(each for each in repaired if each[0] in window)})


def unknown_statuses(engine: Engine, clinic: Clinic, window: DateRange) -> list[str]:
    """The vendor words in the landed calendar without a known case status."""
    with transaction(engine) as connection:
        snapshot = stored_snapshot(connection, clinic, window)
        statuses = {each.status for each in snapshot.appointments if each.makes_case}
        unknown = _unknown(statuses, vendor_words(clinic.provider_type))
        return unknown and _unknown(unknown, words_of(connection, clinic))


def _unknown(statuses: Iterable[str], words: Words) -> list[str]:
    return sorted(each for each in statuses if words.status_of(each) is None)


def last_audits(engine: Engine, run_id: str, sync_type: Phase) -> list[Audit]:
    """The run's audits of one phase."""
    with transaction(engine) as connection:
        audits = audits_of_run(connection, run_id)
    return [audit for audit in audits if audit.sync_type is sync_type]


def phase_failures(
    engine: Engine, clinic: Clinic, sync_type: Phase, window: DateRange
) -> list[Failure]:
    """The phase's open failures that lie in the window."""
    with transaction(engine) as connection:
        failures = open_failures(connection, clinic, sync_type)
    return [
        failure
        for failure in failures
        if failure.business_date in window
        or (failure.business_date is None and failure.window and failure.window.overlaps(window))
    ]
