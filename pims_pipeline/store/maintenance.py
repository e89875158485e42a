"""The daily clean-up: delete what expired, and what is older than its retention.

Large tables are deleted from in batches, so that no lock is held for long. Audits, case events
and the log of decryptions are never deleted. ``pims_pipeline.sync.retention`` decides which landed
records are deleted.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Column, Connection, Table, delete, select, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.store.cases.reading import landed_appointment
from pims_pipeline.store.queries.open_failures import OPEN_FAILURE
from pims_pipeline.store.tables.access import pims_sessions
from pims_pipeline.store.tables.operations import alerts
from pims_pipeline.store.tables.syncs import (
    case_sync_audits,
    idempotency_keys,
    sync_failures,
    sync_requests,
)

BATCH = 2_000
"""Rows deleted by one statement."""


class LandedBefore(NamedTuple):
    """A landed record that is old enough to delete."""

    business_date: date
    pims_id: str
    appointment: PimsAppointment


def clinics_with_unfinished_audits(connection: Connection) -> list[UUID]:
    """The clinics, active or not, with an audit in progress, also an abandoned one."""
    table = case_sync_audits
    return list(
        connection.scalars(
            select(table.c.clinic_id)
            .where(table.c.status == AuditStatus.IN_PROGRESS)
            .distinct()
            .order_by(table.c.clinic_id)
        )
    )


def drop_expired_sessions(connection: Connection, now: datetime) -> int:
    """Delete the vendor sessions that expired by ``now`` (aware); returns their number."""
    return connection.execute(
        delete(pims_sessions).where(pims_sessions.c.expires_at <= now)
    ).rowcount


def drop_expired_idempotency_keys(connection: Connection, now: datetime) -> int:
    """Delete a batch of the idempotency keys that expired by ``now`` (aware)."""
    return _delete_batch(
        connection, idempotency_keys, idempotency_keys.c.expires_at, idempotency_keys.c.sync_id, now
    )


def prune_resolved_failures(connection: Connection, before: datetime) -> int:
    """Delete a batch of the failures that were resolved before then (aware)."""
    return _delete_batch(
        connection, sync_failures, sync_failures.c.resolved_at, sync_failures.c.id, before
    )


def prune_ended_alerts(connection: Connection, before: datetime) -> int:
    """Delete a batch of the alerts that ended before then (aware)."""
    return _delete_batch(connection, alerts, alerts.c.ended_at, alerts.c.id, before)


def prune_sync_requests(connection: Connection, before: datetime) -> int:
    """Delete a batch of the API's requests made before then (aware); their audits stay."""
    return _delete_batch(
        connection, sync_requests, sync_requests.c.created_at, sync_requests.c.id, before
    )


def _delete_batch(
    connection: Connection,
    table: Table,
    moment: Column[datetime],
    key: Column[UUID],
    before: datetime,
) -> int:
    """Delete up to ``BATCH`` rows whose ``moment`` is before then; returns their number."""
    old = select(key).where(moment < before).limit(BATCH)
    return connection.execute(delete(table).where(moment < before, key.in_(old))).rowcount


def landed_before(
    connection: Connection,
    clinic: Clinic,
    day: date,
    seen_before: datetime,
    *,
    after: tuple[date, str] | None,
    limit: int,
) -> list[LandedBefore]:
    """The clinic's landed records of dates before ``day``, by date, a batch at a time.

    Records that a listing has held since ``seen_before`` (aware), and those with an open
    failure, are left out: they are still in use.

    Args:
        connection: In a transaction.
        clinic: Whose records.
        day: The first business date that is kept.
        seen_before: See above.
        after: Date and vendor identity of the last record of the batch before.
        limit: How many at most.
    """
    last_day, last_id = after or (date.min, "")
    rows = connection.execute(
        text(
            f"""
            SELECT a.business_date, a.pims_id, a.payload, a.resources, a.left_out
            FROM pims_appointments AS a
            WHERE a.clinic_id = :clinic_id AND a.provider_type = :provider_type
              AND a.business_date < :day AND a.last_seen_at < :seen_before
              AND (a.business_date, a.pims_id) > (:last_day, :last_id)
              AND NOT EXISTS (
                SELECT FROM sync_failures AS f
                WHERE f.clinic_id = a.clinic_id AND f.provider_type = a.provider_type
                  AND f.pims_id = a.pims_id AND {OPEN_FAILURE})
            ORDER BY a.business_date, a.pims_id
            LIMIT :limit
            """  # noqa: S608 - a fixed condition
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "day": day,
            "seen_before": seen_before,
            "last_day": last_day,
            "last_id": last_id,
            "limit": limit,
        },
    )
    return [LandedBefore(row.business_date, row.pims_id, landed_appointment(row)) for row in rows]


def delete_landed(connection: Connection, clinic: Clinic, pims_ids: Collection[str]) -> int:
    """Delete landed records of the clinic; returns their number."""
    if not pims_ids:
        return 0
    return connection.execute(
        text(
            "DELETE FROM pims_appointments WHERE clinic_id = :clinic_id "
            "AND provider_type = :provider_type AND pims_id = ANY(:pims_ids)"
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "pims_ids": list(pims_ids),
        },
    ).rowcount
