"""Alerts: their rows, which are also the delivery queue, and the facts that they follow from.

``domain/alerts.py`` decides what an alert is. A row holds when the alert started and ended, and
when each of the two was delivered.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.domain.alerts import (
    FAILING_AFTER,
    AlertKey,
    AlertKind,
    Condition,
    RunEnd,
    WaitingHold,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.moments import latest_known
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import is_synced, is_synced_in
from pims_pipeline.store.database.locks import ALERTS_LOCK
from pims_pipeline.store.tables.access import pims_credentials
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.operations import alerts
from pims_pipeline.store.tables.syncs import reconciliation_holds

ClinicPhase = tuple[UUID, Phase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert, open or ended. Times are aware UTC.

    Attributes:
        details: Ids, counts and times.
        opening_sent_at: When its start was delivered; ``ending_sent_at``, its end.
    """

    id: UUID
    key: AlertKey
    clinic_slug: str
    details: Mapping[str, str | int]
    opened_at: datetime
    ended_at: datetime | None
    opening_sent_at: datetime | None
    ending_sent_at: datetime | None


CLAIM_SECONDS = 120
"""How long a claim lasts: after that, another process may send the message too."""


def lock_alerts(connection: Connection) -> None:
    """Lock alerts: no other process opens or ends one until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": ALERTS_LOCK})


def open_alerts(connection: Connection) -> list[AlertKey]:
    """The alerts that have not ended, oldest first."""
    rows = connection.execute(
        select(alerts.c.clinic_id, alerts.c.kind, alerts.c.subject)
        .where(alerts.c.ended_at.is_(None))
        .order_by(alerts.c.opened_at, alerts.c.id)
    )
    return [AlertKey(row.clinic_id, AlertKind(row.kind), row.subject) for row in rows]


def begin_alerts(connection: Connection, conditions: Iterable[Condition], now: datetime) -> None:
    """Open an alert for each condition; one that is open does not change."""
    rows = [
        {
            "clinic_id": condition.key.clinic_id,
            "kind": condition.key.kind,
            "subject": condition.key.subject,
            "details": dict(condition.details),
            "opened_at": now,
        }
        for condition in conditions
    ]
    if rows:
        connection.execute(insert(alerts).on_conflict_do_nothing(), rows)


def end_alerts(connection: Connection, keys: Collection[AlertKey], now: datetime) -> None:
    """End the open alerts with these keys."""
    if not keys:
        return
    key = tuple_(alerts.c.clinic_id, alerts.c.kind, alerts.c.subject)
    connection.execute(
        update(alerts)
        .where(
            alerts.c.ended_at.is_(None),
            key.in_([(each.clinic_id, each.kind.value, each.subject) for each in keys]),
        )
        # A clock that was put back must not make it end before it began.
        .values(ended_at=func.greatest(alerts.c.opened_at, now))
    )


def undelivered_alerts(connection: Connection, limit: int) -> list[Alert]:
    """Alerts with a start or an end that is not delivered yet, the longest waiting first.

    Of those that wait since the same time, ends come first, then kind, phase and clinic decide.
    """
    opening_pending = alerts.c.opening_sent_at.is_(None)
    rows = connection.execute(
        select(alerts, clinics.c.slug)
        .join(clinics, clinics.c.id == alerts.c.clinic_id)
        .where(
            or_(
                opening_pending,
                and_(alerts.c.ended_at.is_not(None), alerts.c.ending_sent_at.is_(None)),
            )
        )
        .order_by(
            case((opening_pending, alerts.c.opened_at), else_=alerts.c.ended_at),
            opening_pending,
            alerts.c.kind,
            alerts.c.details["phase"].astext.nulls_first(),
            clinics.c.slug,
            alerts.c.subject,
        )
        .limit(limit)
    )
    return [_alert(row) for row in rows]


def claim_alerts(connection: Connection, claimed: Sequence[Alert]) -> bool:
    """Claim all of these alerts, so that no other process sends them.

    The claim ends with ``mark_delivered`` or ``release_alerts``, or after ``CLAIM_SECONDS`` of
    the database's clock, so that no transaction is open while messages are sent.

    Returns:
        False, and nothing is written, if another process has claimed one of them.
    """
    now = func.clock_timestamp()
    ids = [alert.id for alert in claimed]
    is_free = or_(alerts.c.claimed_until.is_(None), alerts.c.claimed_until <= now)
    free = select(alerts.c.id).where(alerts.c.id.in_(ids), is_free)
    mine = connection.scalars(free.with_for_update(skip_locked=True)).all()
    if len(mine) != len(ids):
        return False
    until = now + func.make_interval(0, 0, 0, 0, 0, 0, CLAIM_SECONDS)
    connection.execute(update(alerts).where(alerts.c.id.in_(ids)).values(claimed_until=until))
    return True


def release_alerts(connection: Connection, claimed: Sequence[Alert]) -> None:
    """End the claim on these alerts, so that other processes may send them."""
    ids = [alert.id for alert in claimed]
    connection.execute(update(alerts).where(alerts.c.id.in_(ids)).values(claimed_until=None))


def mark_delivered(connection: Connection, delivered: Sequence[Alert], now: datetime) -> None:
    """Record that these alerts, as given, were delivered; ends the claim."""
    started = [alert.id for alert in delivered if alert.opening_sent_at is None]
    ended = [alert.id for alert in delivered if alert.ended_at is not None]
    for ids, column in ((started, "opening_sent_at"), (ended, "ending_sent_at")):
        if ids:
            connection.execute(update(alerts).where(alerts.c.id.in_(ids)).values({column: now}))
    release_alerts(connection, delivered)


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        key=AlertKey(row.clinic_id, AlertKind(row.kind), row.subject),
        clinic_slug=row.slug,
        details=row.details,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
        opening_sent_at=row.opening_sent_at,
        ending_sent_at=row.ending_sent_at,
    )


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
