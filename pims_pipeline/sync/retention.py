"""Which landed records may be forgotten: those whose return would change nothing.

A landed record carries the digest by which an unchanged visit is known, and so keeps the
next sync from writing over what people changed on its case. Once it is gone, the visit's
return is compared with the case itself. So only records are forgotten of which that
comparison finds nothing to write: syncing an old date once more, with or without them,
leaves its cases alike. The others stay, and are few.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.cases import Case, EventKind
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.inbound import KnownRecord, plan_inbound
from pims_pipeline.store.cases import load_cases
from pims_pipeline.store.database import lock_clinic
from pims_pipeline.store.maintenance import LandedBefore, delete_landed, landed_before
from pims_pipeline.store.retries import in_transaction
from pims_pipeline.sync.inbound import case_identity

BATCH = 1_000
"""Records looked at in one transaction, during which the clinic's syncs wait to write."""

_AS_WITHOUT = frozenset({EventKind.CREATED, EventKind.RESTORED})
"""What the return of a visit does to a case that is not there, or was retired, also when its
record is still landed."""


@dataclass(frozen=True, slots=True)
class PruneResult:
    """How many old records were deleted, and how many had to stay."""

    deleted: int
    kept: int


def prune_landed_records(
    engine: Engine, clinic: Clinic, *, days: int, now: datetime
) -> PruneResult:
    """Delete the clinic's landed records that are older than that and may be forgotten.

    Args:
        engine: The database of cases.
        clinic: Whose records.
        days: Records of business dates longer ago, and not seen in any listing since, are old.
        now: Aware.
    """
    seen_before = now - timedelta(days=days)
    first_kept = business_date(seen_before, clinic.zone)
    deleted = kept = 0
    after: tuple[date, str] | None = None

    def forget(connection: Connection) -> tuple[Sequence[LandedBefore], int]:
        # A listing that is being applied counts on the records that it has read.
        lock_clinic(connection, clinic.id)
        old = landed_before(connection, clinic, first_kept, seen_before, after=after, limit=BATCH)
        cases = load_cases(connection, clinic, [each.pims_id for each in old])
        free = _forgettable(clinic, [each.appointment for each in old], cases, now)
        return old, delete_landed(connection, clinic, free)

    while True:
        old, gone = in_transaction(engine, forget)
        if not old:
            return PruneResult(deleted, kept)
        deleted += gone
        kept += len(old) - gone
        after = (old[-1].business_date, old[-1].pims_id)


def _forgettable(
    clinic: Clinic,
    appointments: Sequence[PimsAppointment],
    cases: Mapping[str, Case],
    now: datetime,
) -> Collection[str]:
    """The identities of those records that leave no trace: see the module."""
    ids = {each.appointment_id for each in appointments}
    today = business_date(now, clinic.zone)
    plan = plan_inbound(
        {pims_id: KnownRecord(pims_id=pims_id, case=cases.get(pims_id)) for pims_id in ids},
        Snapshot(
            window=DateRange(today, today),
            appointments=tuple(appointments),
            fetched_at=now,
            complete=False,
        ),
        identify=case_identity(clinic),
    )
    return ids - {each.pims_id for each in plan.case_writes if each.kind not in _AS_WITHOUT}
