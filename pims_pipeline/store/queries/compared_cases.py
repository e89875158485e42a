"""Our cases as far as they are compared with those of a v4.0 installation: no personal data."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.adoption.differences import OurCase
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.cases.metadata import ENRICHED, SOFT_DELETED
from pims_pipeline.store.database.batches import array_literal, streamed

_QUERY = f"""
    SELECT c.id, c.pims_id, c.scheduled_date, c.scheduled_start, c.status, c.case_type,
           {SOFT_DELETED} AS is_retired, {ENRICHED} AS has_consultation,
           coalesce(a.missing_since IS NULL AND a.removed_at IS NULL AND a.pims_id IS NOT NULL,
                    false) AS is_listed,
           c.metadata #>> '{{appointment,status}}' AS status_word,
           c.metadata #>> '{{appointment,type}}' AS type_word,
           l.their_case_id AS linked_to, c.updated_at AS changed_at
    FROM cases AS c
    LEFT JOIN pims_appointments AS a
      ON a.clinic_id = c.clinic_id AND a.provider_type = c.provider_type
     AND a.pims_id = c.pims_id
    LEFT JOIN adopted_cases AS l ON l.clinic_id = c.clinic_id AND l.case_id = c.id
    WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type
      AND c.pims_id IS NOT NULL AND """  # noqa: S608 - fixed conditions


def compared_cases_on(
    connection: Connection, clinic: Clinic, dates: DateRange
) -> Iterator[OurCase]:
    """The clinic's cases of these business dates, retired ones too."""
    where = "c.scheduled_date BETWEEN :start AND :end"
    return _read(connection, clinic, where, {"start": dates.start, "end": dates.end})


def compared_cases_of(
    connection: Connection, clinic: Clinic, appointment_ids: Collection[str]
) -> Iterator[OurCase]:
    """The clinic's cases of these appointments, whatever their date."""
    if not appointment_ids:
        return iter(())
    where = "c.pims_id = ANY(CAST(:pims_ids AS text[]))"
    return _read(connection, clinic, where, {"pims_ids": array_literal(appointment_ids)})


def _read(
    connection: Connection, clinic: Clinic, where: str, parameters: dict[str, Any]
) -> Iterator[OurCase]:
    of = {"clinic_id": clinic.id, "provider_type": clinic.provider_type}
    return (_case(row) for row in streamed(connection, _QUERY + where, {**of, **parameters}))


def _case(row: Row[Any]) -> OurCase:
    return OurCase(
        case_id=row.id,
        appointment_id=row.pims_id,
        scheduled_date=row.scheduled_date,
        scheduled_start=row.scheduled_start,
        status=CaseStatus(row.status),
        case_type=CaseType(row.case_type),
        is_retired=row.is_retired,
        is_listed=row.is_listed,
        has_consultation=row.has_consultation,
        status_word=row.status_word,
        type_word=row.type_word,
        linked_to=row.linked_to,
        changed_at=row.changed_at,
    )


def last_syncs_here(connection: Connection, clinic: Clinic) -> dict[Phase, datetime]:
    """By phase when the clinic's last sync that completed began, over any window."""
    rows = connection.execute(
        text(
            "SELECT sync_type, max(created_at) AS began FROM case_sync_audits "
            "WHERE clinic_id = :clinic_id AND status = 'completed' GROUP BY sync_type"
        ),
        {"clinic_id": clinic.id},
    )
    return {Phase(row.sync_type): row.began for row in rows}
