"""Read cases as the plans need them: by vendor identity, or all of a window.

``metadata`` reads the cases' JSON; lists and pages for users are in ``store.queries.cases``.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.planning.enrichment import EnrichableCase, FetchFailure
from pims_pipeline.domain.planning.retirement import TrackedCase
from pims_pipeline.domain.records.appointments import PimsAppointment, appointment_from_payload
from pims_pipeline.domain.records.cases import Case
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.cases import metadata as case_metadata
from pims_pipeline.store.cases.metadata import SOFT_DELETED, WHOLE_CONSULTATION
from pims_pipeline.store.database.batches import array_literal
from pims_pipeline.store.queries.open_failures import OPEN_FAILURE

_CASE_COLUMNS = f"""
    c.id, c.pims_id, c.patient_name, c.patient_species, c.client_name, c.client_phone,
    c.scheduled_date, c.scheduled_start, c.scheduled_end, c.status, c.case_type,
    {case_metadata.COLUMNS}, {SOFT_DELETED} AS soft_deleted"""

# The appointment that was known before the others of its series came has no series of its own.
_SERIES = """
    coalesce(a.series_id, (
        SELECT s.series_id FROM pims_appointments AS s
        WHERE s.clinic_id = a.clinic_id AND s.provider_type = a.provider_type
          AND s.series_id = a.pims_id LIMIT 1))"""


def landed_appointment(row: Row[Any]) -> PimsAppointment:
    """The appointment of a row with ``payload``, ``resources`` and ``left_out``."""
    return appointment_from_payload(row.payload, resources=row.resources, left_out=row.left_out)


def _landed(row: Row[Any]) -> PimsAppointment:
    return replace(landed_appointment(row), series_id=row.series_id)


def _case(row: Row[Any], *, whole: bool = False) -> Case:
    return Case(
        id=row.id,
        pims_id=row.pims_id,
        patient_name=row.patient_name,
        patient_species=row.patient_species,
        client_name=row.client_name,
        client_phone=row.client_phone,
        scheduled_date=row.scheduled_date,
        scheduled_start=row.scheduled_start,
        scheduled_end=row.scheduled_end,
        status=CaseStatus(row.status),
        case_type=CaseType(row.case_type),
        facts=case_metadata.facts_of(row),
        soft_deleted=row.soft_deleted,
        consultation=case_metadata.attached_to(row, whole=whole),
        damage=case_metadata.damage_of(row),
    )


def load_cases(
    connection: Connection, clinic: Clinic, pims_ids: Collection[str], *, lock: bool = False
) -> dict[str, Case]:
    """The cases of the given vendor identities.

    Args:
        connection: In a transaction.
        clinic: Whose cases.
        pims_ids: Vendor identities; those without a case are left out.
        lock: Whether to lock them against other changes until the transaction ends; their
            consultations are then read whole.
    """
    columns = f"{_CASE_COLUMNS}, {WHOLE_CONSULTATION}" if lock else _CASE_COLUMNS
    rows = connection.execute(
        text(
            f"SELECT {columns} FROM cases AS c "  # noqa: S608 - fixed column list
            "WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type "
            "AND c.pims_id = ANY(CAST(:pims_ids AS text[])) ORDER BY c.id"
            + (" FOR UPDATE" if lock else "")
        ),
        {**_of(clinic), "pims_ids": array_literal(pims_ids)},
    )
    return {row.pims_id: _case(row, whole=lock) for row in rows}


def active_cases(connection: Connection, clinic: Clinic, window: DateRange) -> list[TrackedCase]:
    """The window's synced cases that are not soft-deleted, with their landed appointments."""
    rows = connection.execute(
        text(
            f"""
            SELECT {_CASE_COLUMNS}, a.payload, a.resources, a.left_out,
                   {_SERIES} AS series_id, a.last_seen_at, a.missing_since, a.removed_at
            FROM cases AS c
            LEFT JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id)
            WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type
              AND c.pims_id IS NOT NULL AND c.scheduled_date BETWEEN :start AND :end
              AND NOT {SOFT_DELETED}
            ORDER BY c.scheduled_start, c.id
            """  # noqa: S608 - fixed column list
        ),
        {**_of(clinic), "start": window.start, "end": window.end},
    )
    return [
        TrackedCase(
            case=_case(row),
            appointment=_landed(row) if row.payload else None,
            last_seen_at=row.last_seen_at,
            missing_since=row.missing_since,
            removed_at=row.removed_at,
        )
        for row in rows
    ]


def enrichable_cases(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    *,
    only: Collection[UUID] | None = None,
    lock: bool = False,
) -> list[EnrichableCase]:
    """The window's live cases with what is known of their consultations, but for left-out ones.

    Args:
        connection: In a transaction.
        clinic: Whose cases.
        window: Their business dates.
        only: When given, these cases alone, whatever their date.
        lock: Whether to lock them against other changes until the transaction ends.
    """
    which = "c.scheduled_date BETWEEN :start AND :end" if only is None else "c.id = ANY(:only)"
    rows = connection.execute(
        text(
            f"""
            SELECT c.id, c.patient_species, {case_metadata.COLUMNS}, {WHOLE_CONSULTATION},
                   a.payload, a.resources, a.left_out, {_SERIES} AS series_id, a.fetched_at,
                   a.consultation_checked_at,
                   f.attempts, f.last_failed_at, f.next_retry_at
            FROM cases AS c
            JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id)
            LEFT JOIN sync_failures AS f
              ON f.clinic_id = c.clinic_id AND f.provider_type = c.provider_type
             AND f.phase = 'cases' AND f.record_key = c.pims_id AND {OPEN_FAILURE}
            WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type
              AND {which} AND NOT {SOFT_DELETED} AND NOT a.left_out
            ORDER BY c.id
            """  # noqa: S608 - fixed conditions
            + ("FOR UPDATE OF c" if lock else "")
        ),
        {**_of(clinic), "start": window.start, "end": window.end, "only": list(only or ())},
    )
    return [
        EnrichableCase(
            case_id=row.id,
            appointment=_landed(row),
            landed_at=row.fetched_at,
            checked_at=row.consultation_checked_at,
            consultation=case_metadata.whole_consultation(row),
            damage=case_metadata.damage_of(row),
            failure=FetchFailure(
                attempts=row.attempts,
                last_failed_at=row.last_failed_at,
                next_retry_at=row.next_retry_at,
            )
            if row.attempts
            else None,
            patient_species=row.patient_species,
        )
        for row in rows
    ]


def _of(clinic: Clinic) -> dict[str, Any]:
    return {"clinic_id": clinic.id, "provider_type": clinic.provider_type}
