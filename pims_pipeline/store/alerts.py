"""Alerts: their rows, which are also the delivery queue.

``domain/alerts.py`` decides what an alert is, from ``queries/alert_facts.py``. A row holds when the
alert started and ended, and when each of the two was delivered.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.domain.alerts import (
    AlertKey,
    AlertKind,
    Condition,
)
from pims_pipeline.store.database.locks import ALERTS_LOCK
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.operations import alerts


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
