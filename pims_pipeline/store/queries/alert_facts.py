"""The facts from which alerts follow, for all active clinics at once. Read-only.

``domain/alerts.py`` decides what of them is an alert. Dead letters are in ``open_failures``.
"""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, and_, select, text

from pims_pipeline.domain.alerts import (
    FAILING_AFTER,
    RunEnd,
    WaitingHold,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.moments import latest_known
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import is_synced, is_synced_in
from pims_pipeline.store.tables.access import pims_credentials
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.syncs import reconciliation_holds

ClinicPhase = tuple[UUID, Phase]


def run_ends(connection: Connection, now: datetime) -> dict[ClinicPhase, list[RunEnd]]:
    """How the newest runs of each phase of each active clinic ended, the newest first.

    Absent where none of the newest failed. An audit that began after ``now`` (aware) was written
    by a wrong clock and does not count.
    """
    found = defaultdict[ClinicPhase, list[RunEnd]](list)
    rows = connection.execute(
        text(_ENDS),
        {
            "phases": [phase.value for phase in Phase],
            "newest": _NEWEST,
            "depth": _DEPTH,
            "count": FAILING_AFTER,
            "latest": latest_known(now),
        },
    )
    for row in rows:
        found[row.clinic_id, Phase(row.sync_type)].append(
            RunEnd(run_id=row.run_id, succeeded=not row.failed, error_class=row.error_class)
        )
    return found


_NEWEST = 12
"""How many audits of a phase are read first: those of a request's longest window."""

_DEPTH = 40
"""How many are read where one of these failed: several runs with several windows each."""

_ENDS = f"""
    WITH suspects AS (
        SELECT c.id AS clinic_id, p.sync_type
        FROM clinics AS c CROSS JOIN unnest(CAST(:phases AS text[])) AS p (sync_type)
        WHERE {is_synced_in("c")} AND EXISTS (
            SELECT FROM (
                SELECT status FROM case_sync_audits
                WHERE clinic_id = c.id AND sync_type = p.sync_type AND created_at <= :latest
                ORDER BY created_at DESC LIMIT :newest
            ) AS a
            WHERE a.status IN ('failed', 'interrupted')
        )
    ), ends AS (
        SELECT s.clinic_id, s.sync_type, a.run_id,
               bool_or(a.status IN ('failed', 'interrupted')) AS failed,
               (array_agg(a.error_class ORDER BY a.created_at DESC)
                   FILTER (WHERE a.status = 'failed'))[1] AS error_class,
               row_number() OVER (
                   PARTITION BY s.clinic_id, s.sync_type ORDER BY max(a.created_at) DESC
               ) AS place
        FROM suspects AS s CROSS JOIN LATERAL (
            SELECT run_id, status, error_class, created_at FROM case_sync_audits
            WHERE clinic_id = s.clinic_id AND sync_type = s.sync_type AND created_at <= :latest
            ORDER BY created_at DESC LIMIT :depth
        ) AS a
        GROUP BY s.clinic_id, s.sync_type, a.run_id
        HAVING NOT bool_or(a.status = 'in_progress')
    )
    SELECT clinic_id, sync_type, run_id, failed, error_class
    FROM ends WHERE place <= :count ORDER BY place
"""  # noqa: S608 - a fixed condition


_TROUBLES = [CredentialStatus.INVALID, CredentialStatus.NEEDS_HUMAN]


def credential_troubles(connection: Connection) -> dict[UUID, CredentialStatus]:
    """The active clinics whose stored credentials cannot be used, and what they are."""
    rows = connection.execute(
        select(clinics.c.id, pims_credentials.c.status)
        .join(
            pims_credentials,
            and_(
                pims_credentials.c.clinic_id == clinics.c.id,
                pims_credentials.c.provider_type == clinics.c.provider_type,
            ),
        )
        .where(is_synced(), pims_credentials.c.status.in_(_TROUBLES))
    )
    return {row.id: CredentialStatus(row.status) for row in rows}


def waiting_holds(connection: Connection) -> dict[UUID, list[WaitingHold]]:
    """The open holds of each active clinic, oldest first."""
    table = reconciliation_holds
    found = defaultdict[UUID, list[WaitingHold]](list)
    rows = connection.execute(
        select(table)
        .join(clinics, clinics.c.id == table.c.clinic_id)
        .where(is_synced(), table.c.status == HoldStatus.OPEN)
        .order_by(table.c.created_at, table.c.id)
    )
    for row in rows:
        hold = WaitingHold(
            id=row.id,
            window=DateRange(row.window_start, row.window_end),
            cases_active=row.cases_active,
            cases_orphaned=row.cases_orphaned,
        )
        found[row.clinic_id].append(hold)
    return found
