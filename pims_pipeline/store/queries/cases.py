"""Lists of cases for operators and clients, and cases in which a check finds a fault.

``pims_pipeline.store.cases`` reads for the plans, and writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.dagster_names import KEY_SEPARATOR
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.planning.case_writes import PLACES
from pims_pipeline.domain.planning.patients import contradicts
from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.cases import metadata as case_metadata
from pims_pipeline.store.cases.metadata import ENRICHED, SOFT_DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCase:
    """A case in a list."""

    id: UUID
    scheduled_date: date
    scheduled_start: datetime | None
    patient_name: str = field(repr=False)
    patient_species: str | None
    client_name: str = field(repr=False)
    status: CaseStatus
    case_type: CaseType
    pims_id: str | None
    soft_deleted: bool
    enriched: bool
    updated_at: datetime


def list_cases(
    connection: Connection,
    clinic: Clinic,
    *,
    business_date: date | None = None,
    limit: int = 200,
) -> list[ListedCase]:
    """The clinic's cases, latest appointment first, of one business date or of all."""
    rows = connection.execute(
        text(
            f"""
            SELECT c.id, c.scheduled_date, c.scheduled_start, c.patient_name, c.patient_species,
                   c.client_name, c.status, c.case_type, c.pims_id,
                   {SOFT_DELETED} AS soft_deleted, {ENRICHED} AS enriched,
                   c.updated_at
            FROM cases AS c
            WHERE c.clinic_id = :clinic_id
              AND (CAST(:day AS date) IS NULL OR c.scheduled_date = :day)
            ORDER BY c.scheduled_date DESC, c.scheduled_start DESC, c.id
            LIMIT :limit
            """  # noqa: S608 - fixed column list
        ),
        {"clinic_id": clinic.id, "day": business_date, "limit": limit},
    )
    return [_listed(row) for row in rows]


def _listed(row: Row[*tuple[object, ...]]) -> ListedCase:
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    status, case_type = CaseStatus(row.status), CaseType(row.case_type)
    return ListedCase(**{**facts, "status": status, "case_type": case_type})


def deleted_with_appointment(
    connection: Connection, clinic: Clinic, window: DateRange
) -> list[UUID]:
    """Soft-deleted cases whose appointment is in the landed calendar and synced: always a fault."""
    return _case_ids(
        connection,
        clinic,
        window,
        f"{SOFT_DELETED} AND a.missing_since IS NULL AND a.removed_at IS NULL "
        "AND a.payload ->> 'kind' = 'appointment' AND NOT a.left_out",
    )


def with_implausible_vitals(
    connection: Connection, clinic: Clinic, window: DateRange
) -> list[UUID]:
    """Cases whose recorded vitals no patient can have."""
    return _case_ids(
        connection,
        clinic,
        window,
        "CASE jsonb_typeof(c.metadata #> '{consultation,vitals,implausible}') WHEN 'array' "
        "THEN jsonb_array_length(c.metadata #> '{consultation,vitals,implausible}') > 0 "
        "ELSE false END",
    )


def with_another_patients_consultation(
    connection: Connection, clinic: Clinic, window: DateRange
) -> list[tuple[date, UUID]]:
    """Live cases whose consultation is for another patient than their appointment, by date."""
    rows = connection.execute(
        text(
            f"""
            SELECT c.id, c.scheduled_date, a.payload -> 'patient' AS patient,
                   {case_metadata.COLUMNS}
            FROM cases AS c
            JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id)
            WHERE c.clinic_id = :clinic_id AND c.scheduled_date BETWEEN :start AND :end
              AND {ENRICHED} AND NOT {SOFT_DELETED} AND a.payload ->> 'kind' = 'appointment'
            ORDER BY c.scheduled_date, c.id
            """  # noqa: S608 - fixed conditions
        ),
        {"clinic_id": clinic.id, "start": window.start, "end": window.end},
    )
    return [
        (row.scheduled_date, row.id)
        for row in rows
        if (attached := case_metadata.attached_to(row, whole=False)) is not None
        and contradicts(attached.patient, Patient(**row.patient))
    ]


def with_unreadable_metadata(
    connection: Connection, clinic: Clinic, window: DateRange
) -> list[tuple[date, UUID]]:
    """Live synced cases in whose metadata our own keys cannot be read, by date."""
    rows = connection.execute(
        text(
            f"""
            SELECT c.id, c.scheduled_date, {case_metadata.COLUMNS}
            FROM cases AS c
            WHERE c.clinic_id = :clinic_id AND c.scheduled_date BETWEEN :start AND :end
              AND c.pims_id IS NOT NULL AND NOT {SOFT_DELETED}
            ORDER BY c.scheduled_date, c.id
            """  # noqa: S608 - fixed conditions
        ),
        {"clinic_id": clinic.id, "start": window.start, "end": window.end},
    )
    return [(row.scheduled_date, row.id) for row in rows if case_metadata.damage_of(row)]


def with_repaired_metadata(connection: Connection, audit_id: UUID) -> list[tuple[date, UUID]]:
    """Cases whose metadata an audit's phase repaired, by date."""
    return _changed_by(connection, audit_id, PLACES)


def with_detached_consultation(connection: Connection, audit_id: UUID) -> list[tuple[date, UUID]]:
    """Cases from which an audit's phase removed the consultation, by date."""
    return _changed_by(connection, audit_id, ["consultation"])


def _changed_by(
    connection: Connection, audit_id: UUID, names: Iterable[str]
) -> list[tuple[date, UUID]]:
    """Cases in which an audit's phase changed one of the fields, by date."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT split_part(e.partition_key, :separator, 2)::date AS day, e.case_id
            FROM case_events AS e
            WHERE e.audit_id = :audit_id AND jsonb_exists_any(e.changes, :names)
            ORDER BY 1, 2
            """
        ),
        {"audit_id": audit_id, "names": list(names), "separator": KEY_SEPARATOR},
    )
    return [(row.day, row.case_id) for row in rows]


def _case_ids(
    connection: Connection, clinic: Clinic, window: DateRange, condition: str
) -> list[UUID]:
    return list(
        connection.execute(
            text(
                f"""
                SELECT c.id FROM cases AS c
                JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id)
                WHERE c.clinic_id = :clinic_id AND c.scheduled_date BETWEEN :start AND :end
                  AND {condition}
                ORDER BY c.id
                """  # noqa: S608 - fixed conditions
            ),
            {"clinic_id": clinic.id, "start": window.start, "end": window.end},
        ).scalars()
    )
