"""Deletion of old landed records that no later sync needs.

The digest of a landed record shows that an appointment is unchanged, so that a sync keeps users'
edits of its case. Without the record, a sync compares the appointment with the case itself. So a
record is deleted only if that comparison finds nothing to write; the few others are kept. Other
retention belongs in ``store.maintenance``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.planning.inbound import plan_inbound
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.records.cases import Case, EventKind
from pims_pipeline.store.cases.reading import load_cases
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.maintenance import LandedBefore, delete_landed, landed_before

BATCH = 1_000
"""How many records one transaction checks; the clinic's syncs wait for it before they write."""

_SAME_WITH_RECORD = frozenset({EventKind.CREATED, EventKind.RESTORED})
"""Writes for a missing or retired case; they happen with and without a landed record."""


@dataclass(frozen=True, slots=True)
class PruneResult:
    """How many old records were deleted, and how many were kept."""

    deleted: int
    kept: int


def prune_landed_records(
    engine: Engine, clinic: Clinic, *, days: int, now: datetime
) -> PruneResult:
    """Delete the clinic's old landed records that no later sync needs.

    Args:
        engine: The database of cases.
        clinic: The clinic of the records.
        days: A record is old if its business date and the last listing with it are longer ago.
        now: The present time; aware.
    """
    seen_before = now - timedelta(days=days)
    first_kept = business_date(seen_before, clinic.zone)
    deleted = kept = 0
    after: tuple[date, str] | None = None

    def prune(connection: Connection) -> tuple[Sequence[LandedBefore], int]:
        # A phase that is applying a listing relies on the records that it has read.
        lock_clinic(connection, clinic.id)
        old = landed_before(connection, clinic, first_kept, seen_before, after=after, limit=BATCH)
        cases = load_cases(connection, clinic, [each.pims_id for each in old])
        unneeded = _unneeded(clinic, [each.appointment for each in old], cases, now)
        return old, delete_landed(connection, clinic, unneeded)

    while True:
        old, deleted_now = in_transaction(engine, prune)
        if not old:
            return PruneResult(deleted, kept)
        deleted += deleted_now
        kept += len(old) - deleted_now
        after = (old[-1].business_date, old[-1].pims_id)


def _unneeded(
    clinic: Clinic,
    appointments: Sequence[PimsAppointment],
    cases: Mapping[str, Case],
    now: datetime,
) -> Collection[str]:
    """The identities of the records that no later sync needs; see the module."""
    ids = {each.appointment_id for each in appointments}
    today = business_date(now, clinic.zone)
    # Without a landed record, no word has a new meaning: see ``inbound_decisions``.
    plan = plan_inbound(
        {pims_id: KnownRecord(pims_id=pims_id, case=cases.get(pims_id)) for pims_id in ids},
        Snapshot(
            window=DateRange(today, today),
            appointments=tuple(appointments),
            fetched_at=now,
            proof=None,
        ),
        clinic=clinic,
    )
    needed = {each.pims_id for each in plan.case_writes if each.kind not in _SAME_WITH_RECORD}
    # They show which record the case follows when it is synced again.
    left_out = {each.appointment_id for each in appointments if each.left_out}
    needed |= {name for name in left_out if name in cases and not cases[name].soft_deleted}
    return ids - needed
