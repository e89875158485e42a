"""Counts of their rows for ``pims adopt inspect``, and which cases may share an appointment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.adoption.identities import (
    appointment_of_external_id,
    appointment_of_pims_id,
)
from pims_pipeline.domain.adoption.importing import Candidate
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.store.v4.cases import NOT_LINKED
from pims_pipeline.store.v4.installation import Installation, moment

_PLAIN = "regexp_replace(btrim({column}), '^(pims-appt-idexx-neo-|idexx-appt-)', '')"
"""The same for all external ids of an appointment."""
_PREFIXED = "btrim(c.external_id) ~ '^(pims-appt-idexx-neo-|idexx-appt-)\\S+$'"
_WORD = "btrim(c.pims_id) ~ '^\\S+$'"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCount:
    """How many cases a clinic has of a source and status.

    Attributes:
        clinic_id: None for cases without a clinic.
        source: None in the documented layout, and where it is not stored.
        of_appointments: How many of them name an appointment.
        retired: How many the v4.0 service retired.
        without_time: How many have neither time nor date.
    """

    clinic_id: UUID | None
    source: str | None
    status: str
    cases: int
    of_appointments: int
    retired: int
    without_time: int


def case_counts(connection: Connection, installation: Installation) -> list[CaseCount]:
    """How many cases each clinic has, by source and status."""
    is_deployed = installation.layout is Layout.DEPLOYED
    source = "CAST(c.source AS text)" if is_deployed else "CAST(NULL AS text)"
    when = "c.scheduled_at" if is_deployed else "c.scheduled_date"
    rows = connection.execute(
        text(
            f"""
            SELECT c.clinic_id, {source} AS source, CAST(c.status AS text) AS status,
                count(*) AS cases,
                count(*) FILTER (WHERE {_PREFIXED if is_deployed else _WORD}) AS of_appointments,
                count(*) FILTER (WHERE CAST(c.status AS text) = 'reviewed'
                    AND jsonb_typeof(c.metadata -> 'reconciliation') = 'object'
                    AND c.metadata -> 'reconciliation' <> '{{}}') AS retired,
                count(*) FILTER (WHERE {when} IS NULL) AS without_time
            FROM {installation.table("cases")} AS c
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """  # noqa: S608 - quoted
        )
    )
    return [CaseCount(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def duplicate_candidates(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> Iterator[Candidate]:
    """The clinic's cases that share their appointment with another of its cases."""
    is_deployed = installation.layout is Layout.DEPLOYED
    column = "external_id" if is_deployed else "pims_id"
    appointment_of = appointment_of_external_id if is_deployed else appointment_of_pims_id
    rows = connection.execute(
        text(
            f"""
            SELECT id, {column} AS external_id,
                coalesce({moment("created_at")}, {moment("updated_at")}, now()) AS created_at
            FROM (
                SELECT c.id, c.{column}, c.created_at, c.updated_at,
                    count(*) OVER (PARTITION BY {_PLAIN.format(column=f"c.{column}")}) AS same
                FROM {installation.table("cases")} AS c
                WHERE c.clinic_id = :clinic_id AND c.{column} IS NOT NULL
            ) AS c
            WHERE same > 1
            """  # noqa: S608 - quoted
        ),
        {"clinic_id": clinic_id},
    )
    for row in rows:
        appointment_id = appointment_of(row.external_id)
        if appointment_id is not None:
            yield Candidate(row.id, appointment_id, row.created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCount:
    """The syncs that a clinic's audits record.

    Attributes:
        clinic_id: None for audits without a clinic.
        last_completed: When the last completed one ended, or began where that is not stored.
        in_progress: How many never ended, by their status.
    """

    clinic_id: UUID | None
    last_completed: datetime | None
    in_progress: int


def sync_counts(connection: Connection, installation: Installation) -> list[SyncCount]:
    """What the audits record of each clinic."""
    table = "case_sync_audits"
    if not installation.has(table):
        return []
    clinic = installation.column(table, "a", "clinic_id", "uuid")
    rows = connection.execute(
        text(
            f"""
            SELECT {clinic} AS clinic_id,
                max({_ended(installation, table)})
                    FILTER (WHERE CAST(a.status AS text) = 'completed') AS last_completed,
                count(*) FILTER (WHERE CAST(a.status AS text) = 'in_progress') AS in_progress
            FROM {installation.table(table)} AS a
            GROUP BY 1 ORDER BY 1
            """  # noqa: S608 - quoted
        )
    )
    return [SyncCount(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _ended(installation: Installation, table: str) -> str:
    """When a sync ended, or began where that is not stored."""
    columns = ("completed_at", "updated_at", "started_at", "created_at")
    times = (installation.column(table, "a", name, "timestamptz") for name in columns)
    return moment(f"coalesce({', '.join(times)})")


def unlinked_total(connection: Connection, installation: Installation, clinic_id: UUID) -> int:
    """How many of the clinic's cases belong to none of ours, those of people too."""
    total: int = connection.execute(
        text(
            f"SELECT count(*) FROM {installation.table('cases')} AS c "  # noqa: S608 - quoted
            f"WHERE c.clinic_id = :clinic_id AND {NOT_LINKED}"
        ),
        {"clinic_id": clinic_id},
    ).scalar_one()
    return total
