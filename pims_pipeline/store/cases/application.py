"""Our cases as they are written to the application of a v4.0 installation, and the log of that.

Reading and writing the application's rows belongs in ``store/v4``; what is written is decided in
``domain/adoption/application/rows.py``.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.adoption.application.metadata import StoredConsultation
from pims_pipeline.domain.adoption.application.rows import RowWrite
from pims_pipeline.domain.adoption.application.sides import LastWrite, SyncedCase
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.cases import metadata as case_metadata
from pims_pipeline.store.cases.metadata import SOFT_DELETED
from pims_pipeline.store.database.batches import array_literal, execute_batches

STALE_EVENTS = 10_000
"""How many newer events, of any clinic, may lie behind ``adoptions.written_seq`` without need."""

_COLUMNS = f"""
    c.id, c.pims_id, c.patient_name, c.patient_species, c.client_name, c.client_phone,
    c.scheduled_date, c.scheduled_start, c.status, c.case_type, c.visibility,
    {case_metadata.COLUMNS}, {SOFT_DELETED} AS soft_deleted,
    c.metadata #>> '{{consultation,digest}}' AS digest,
    c.metadata #>> '{{reconciliation,reason}}' AS reason,
    c.metadata #>> '{{reconciliation,deletedAt}}' AS deleted_at,
    a.pims_id IS NOT NULL AS is_landed, a.payload #>> '{{patient,breed}}' AS patient_breed,
    a.payload #>> '{{client,email}}' AS client_email,
    link.their_case_id, link.case_id IS NOT NULL AS is_linked,
    last.seq IS NOT NULL AS is_written, last.left_status, last.left_type,
    coalesce(last.occurred_at < ad.mode_changed_at, false) AS is_former,
    CASE WHEN {SOFT_DELETED} THEN EXISTS (
        SELECT FROM case_events AS e WHERE e.case_id = c.id AND e.kind = 'soft_deleted')
    ELSE false END AS is_guarded"""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Which of a clinic's cases the application's rows may lack.

    Attributes:
        seq: The newest event of any clinic. Once all is written, nothing of the clinic lies
            between it and ``adoptions.written_seq``, as events of a clinic are written in the
            order of their numbers, under its lock.
        case_ids: The cases with an event since they were last written.
    """

    seq: int
    case_ids: frozenset[UUID]


def unwritten(connection: Connection, clinic: Clinic, written_seq: int) -> Unwritten:
    """Which cases changed after event ``written_seq``; the caller holds the clinic's lock."""
    newest = connection.scalar(text("SELECT coalesce(max(seq), 0) FROM case_events"))
    ids = connection.scalars(
        text(
            "SELECT DISTINCT case_id FROM case_events "
            "WHERE seq > :seq AND clinic_id = :clinic_id AND kind <> :adopted"
        ),
        {"seq": written_seq, "clinic_id": clinic.id, "adopted": EventKind.ADOPTED.value},
    )
    return Unwritten(int(newest or 0), frozenset(ids))


def set_written(connection: Connection, clinic: Clinic, seq: int) -> None:
    """Note that the application's rows hold the result of the clinic's events up to ``seq``."""
    connection.execute(
        text("UPDATE adoptions SET written_seq = :seq WHERE clinic_id = :clinic_id"),
        {"seq": seq, "clinic_id": clinic.id},
    )


def cases_to_write(
    connection: Connection, clinic: Clinic, days: Collection[date], case_ids: Collection[UUID]
) -> list[SyncedCase]:
    """The clinic's cases of appointments on these dates, and those among ``case_ids``."""
    rows = connection.execute(
        text(
            f"""
            SELECT {_COLUMNS}
            FROM cases AS c
            LEFT JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id)
            LEFT JOIN adopted_cases AS link
              ON link.clinic_id = c.clinic_id AND link.case_id = c.id
            LEFT JOIN adoptions AS ad ON ad.clinic_id = c.clinic_id
            LEFT JOIN LATERAL (
                SELECT w.seq, w.left_status, w.left_type, w.occurred_at FROM application_writes AS w
                WHERE w.case_id = c.id AND w.their_case_id = coalesce(link.their_case_id, c.id)
                ORDER BY w.seq DESC LIMIT 1) AS last ON true
            WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type
              AND c.pims_id IS NOT NULL
              AND (c.scheduled_date = ANY(CAST(:days AS date[]))
                   OR c.id = ANY(CAST(:case_ids AS uuid[])))
            ORDER BY c.id
            """  # noqa: S608 - fixed column list
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "days": array_literal(days),
            "case_ids": array_literal(case_ids),
        },
    )
    return [_case(row) for row in rows]


def _case(row: Row[Any]) -> SyncedCase:
    return SyncedCase(
        id=row.id,
        row_id=row.their_case_id or row.id,
        was_there=row.is_linked or row.is_written,
        appointment_id=row.pims_id,
        patient_name=row.patient_name,
        patient_species=row.patient_species,
        patient_breed=row.patient_breed,
        client_name=row.client_name,
        client_phone=row.client_phone,
        client_email=row.client_email,
        scheduled_date=row.scheduled_date,
        scheduled_start=row.scheduled_start,
        status=row.status,
        case_type=row.case_type,
        visibility=row.visibility,
        is_landed=row.is_landed,
        facts=case_metadata.facts_of(row) or None,
        consultation=StoredConsultation(row.digest) if row.has_consultation else None,
        retirement={"reason": row.reason, "deletedAt": row.deleted_at}
        if row.soft_deleted
        else None,
        is_guarded=row.is_guarded,
        last=LastWrite(row.left_status, row.left_type, row.is_former) if row.is_written else None,
    )


def record_writes(
    connection: Connection,
    clinic: Clinic,
    writes: Iterable[RowWrite],
    *,
    run_id: str,
    audit_id: UUID | None,
) -> None:
    """Log what is written for each case: names of columns, no values of theirs.

    Args:
        connection: In the transaction that writes.
        clinic: Whose cases.
        writes: What is written.
        run_id: The run that does it.
        audit_id: The last audit of the clinic in that run, if it has one.
    """
    execute_batches(
        connection,
        """
        INSERT INTO application_writes (
            clinic_id, case_id, their_case_id, audit_id, run_id, partition_key, kind, columns,
            left_status, left_type)
        SELECT :clinic_id, r.case_id, r.their_case_id, :audit_id, :run_id, r.partition_key, r.kind,
               ARRAY(SELECT jsonb_array_elements_text(CAST(r.columns AS jsonb))),
               r.left_status, r.left_type
        FROM {rows}
        """,
        {
            "case_id": ("uuid", attrgetter("case.id")),
            "their_case_id": ("uuid", attrgetter("case.row_id")),
            "partition_key": (
                "text",
                lambda write: partition_key(clinic.slug, write.case.scheduled_date),
            ),
            "kind": ("text", lambda write: write.kind.value),
            "columns": ("text", lambda write: json.dumps(write.columns)),
            "left_status": ("text", attrgetter("left.status")),
            "left_type": ("text", attrgetter("left.case_type")),
        },
        writes,
        {"clinic_id": clinic.id, "audit_id": audit_id, "run_id": run_id},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedWrite:
    """What was written to the application's row of a case."""

    case_id: UUID
    their_case_id: UUID
    audit_id: UUID | None
    run_id: str
    partition_key: str
    kind: str
    columns: Sequence[str]


def logged_writes(connection: Connection, clinic: Clinic) -> list[LoggedWrite]:
    """Everything that was written for the clinic, the first one first."""
    rows = connection.execute(
        text(
            "SELECT case_id, their_case_id, audit_id, run_id, partition_key, kind, columns "
            "FROM application_writes WHERE clinic_id = :clinic_id ORDER BY seq"
        ),
        {"clinic_id": clinic.id},
    )
    return [LoggedWrite(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def live_slugs(connection: Connection, slugs: Collection[str]) -> set[str]:
    """Those of the clinics whose application is written."""
    found = connection.scalars(
        text(
            "SELECT c.slug FROM adoptions AS ad JOIN clinics AS c ON c.id = ad.clinic_id "
            "WHERE ad.mode = 'live' AND c.slug = ANY(CAST(:slugs AS text[]))"
        ),
        {"slugs": array_literal(slugs)},
    )
    return set(found)
