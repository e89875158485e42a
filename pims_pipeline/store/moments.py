"""Repair stored times that lie in the future, which only a wrong clock can have written.

The true times are not known, but were no later than the repair. So each becomes the time of the
repair, or null where a later time would keep something from being done. Case events are never
changed. ``pims_pipeline.domain.moments`` decides which times count as future; add a column here
when a table gets another time that a decision reads.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.moments import latest_known

_SEEN = ("last_seen_at", "fetched_at", "first_seen_at", "missing_since", "removed_at")
_LOWERED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pims_appointments": (*_SEEN, "consultation_checked_at"),
        "cases": ("created_at", "updated_at"),
        "sync_failures": ("first_failed_at", "last_failed_at", "resolved_at"),
        "reconciliation_holds": ("created_at", "decided_at"),
        "alerts": ("opened_at", "ended_at", "opening_sent_at", "ending_sent_at"),
        "sync_requests": ("created_at", "launched_at"),
        "schedule_skips": ("last_skipped_at",),
        "clinic_schedule_configs": ("updated_at",),
        "vendor_shapes": ("first_seen_at", "last_seen_at"),
    }
)
"""By table: the columns whose times may not lie in the future."""

_FORGOTTEN = frozenset({"consultation_checked_at"})
"""Cleared, so that what was requested at a wrong time is requested again."""

_SPAN: Mapping[str, timedelta] = MappingProxyType({"last_skipped_at": timedelta(days=1)})
"""How long before the repair a time is set: today's would void a tick that is due."""


def in_future(connection: Connection, clinic: Clinic, window: DateRange, now: datetime) -> bool:
    """Whether a wrong clock has written about the clinic: audits, or the window's records.

    Cheap without such times: it reads the end of an index, and what the phase reads anyway.
    """
    found: bool = connection.execute(
        text(
            """
            SELECT EXISTS (
                SELECT FROM case_sync_audits
                WHERE updated_at > :latest AND clinic_id = :clinic_id)
            OR EXISTS (
                SELECT FROM case_sync_audits
                WHERE clinic_id = :clinic_id AND sync_type IN ('inbound', 'cases', 'reconciliation')
                  AND created_at > :latest)
            OR EXISTS (
                SELECT FROM pims_appointments
                WHERE clinic_id = :clinic_id AND provider_type = :provider_type
                  AND business_date BETWEEN :start AND :end
                  AND greatest(last_seen_at, fetched_at, first_seen_at, missing_since, removed_at,
                               consultation_checked_at) > :latest)
            """
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "start": window.start,
            "end": window.end,
            "latest": latest_known(now),
        },
    ).scalar_one()
    return found


def repair_moments(connection: Connection, clinic_id: UUID, now: datetime) -> dict[str, int]:
    """Rewrite every time of the clinic after ``now`` (aware); returns rows by table.

    The caller holds the clinic's lock. The audits come last: they show that there is something
    to repair.
    """
    given = {"clinic_id": clinic_id, "now": now, "latest": latest_known(now)}
    repaired: dict[str, int] = {}
    for table, columns in _LOWERED.items():
        repaired[table] = connection.execute(text(_statement(table, columns)), given).rowcount
    for name, statement in _OTHERS.items():
        repaired[name] = connection.execute(text(statement), given).rowcount
    return {table: rows for table, rows in repaired.items() if rows}


def _statement(table: str, columns: tuple[str, ...]) -> str:
    lowered = ", ".join(f"{each} = {_lowered(each)}" for each in columns)
    if table == "sync_failures":
        lowered = f"{lowered}, {_RETRY}"
    return (
        f"UPDATE {table} SET {lowered} WHERE clinic_id = :clinic_id "  # noqa: S608 - fixed names
        f"AND greatest({', '.join(columns)}) > :latest"
    )


_RETRY = """
    next_retry_at = CASE WHEN last_failed_at > :latest AND next_retry_at IS NOT NULL
                    THEN CAST(:now AS timestamptz) ELSE next_retry_at END"""
"""A retry counts from its failure, so it is due."""


def _lowered(column: str) -> str:
    moment = "NULL" if column in _FORGOTTEN else "CAST(:now AS timestamptz)"
    if column in _SPAN:
        moment += f" - interval '{_SPAN[column].days} days'"
    return f"CASE WHEN {column} > :latest THEN {moment} ELSE {column} END"


# Operators may have written something else than a time there.
_LATER = (
    r"CASE WHEN moment #>> '{}' ~ '^\d{4}-\d\d-\d\dT\d\d\:\d\d' "
    "THEN CAST(moment #>> '{}' AS timestamptz) > :latest ELSE false END"
)
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        # An idempotency key that outlives its day would repeat an old response for years.
        "idempotency_keys": """
            UPDATE idempotency_keys SET created_at = :now, expires_at = :now
            WHERE clinic_id = :clinic_id AND created_at > :latest
        """,
        # No tick before these counts: in the future they would keep every sync from starting.
        "clinics": """
            UPDATE clinics SET
                created_at = CASE WHEN created_at > :latest THEN :now ELSE created_at END,
                updated_at = CASE WHEN updated_at > :latest THEN :now ELSE updated_at END,
                scheduled_since =
                    CASE WHEN scheduled_since > :latest THEN :now ELSE scheduled_since END
            WHERE id = :clinic_id AND greatest(created_at, updated_at, scheduled_since) > :latest
        """,
        "schedules": f"""
            UPDATE clinic_schedule_configs SET schedules_changed_at = (
                SELECT jsonb_object_agg(phase, CASE WHEN {_LATER}
                    THEN to_jsonb(CAST(:now AS timestamptz)) ELSE moment END)
                FROM jsonb_each(schedules_changed_at) AS changed (phase, moment))
            WHERE clinic_id = :clinic_id AND jsonb_typeof(schedules_changed_at) = 'object'
              AND EXISTS (
                SELECT FROM jsonb_each(schedules_changed_at) AS changed (phase, moment)
                WHERE {_LATER})
        """,  # noqa: S608 - fixed text
        # In their order, a millisecond apart, the latest just before the repair.
        "case_sync_audits": """
            UPDATE case_sync_audits AS audit SET
                updated_at = placed.ended,
                created_at = least(
                    placed.ended - least(coalesce(audit.duration_ms, 0), 3600000)
                        * interval '1 millisecond', audit.created_at),
                fetched_at = CASE WHEN audit.fetched_at > :latest THEN NULL
                                  ELSE audit.fetched_at END
            FROM (
                SELECT id, CAST(:now AS timestamptz) - interval '1 millisecond'
                    * row_number() OVER (ORDER BY created_at DESC, id) AS ended
                FROM case_sync_audits
                WHERE clinic_id = :clinic_id AND (updated_at > :latest OR created_at > :latest)
            ) AS placed
            WHERE audit.id = placed.id
        """,
    }
)


def note_repair(connection: Connection, audit_id: UUID, rows: int) -> None:
    """Keep with the phase's audit how many rows were repaired before it began."""
    connection.execute(
        text("UPDATE case_sync_audits SET moments_repaired = :rows WHERE id = :id"),
        {"id": audit_id, "rows": rows},
    )


def repaired_before(connection: Connection, audit_id: UUID) -> int:
    """How many rows were repaired before the audit's phase began."""
    rows: int = connection.execute(
        text("SELECT moments_repaired FROM case_sync_audits WHERE id = :id"), {"id": audit_id}
    ).scalar_one()
    return rows
