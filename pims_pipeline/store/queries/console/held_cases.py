"""The cases of a hold beside what is landed of their appointments. Read-only."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.store.cases.metadata import SOFT_DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedState:
    """What the last listings and lookups showed of an appointment. Times are aware UTC.

    Attributes:
        status: The vendor's word.
        missing_since: The first complete listing of its date without it.
        removed_at: When it was confirmed to be gone.
        is_left_out: Whether it is listed with resources that the clinic does not sync.
    """

    business_date: date
    scheduled_start: datetime
    status: str
    last_seen_at: datetime
    missing_since: datetime | None
    removed_at: datetime | None
    is_left_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCase:
    """A case of a hold as it is now. Holds personal data: its repr shows none.

    Attributes:
        landed: Its appointment; None if none was landed.
    """

    id: UUID
    pims_id: str | None
    patient_name: str = field(repr=False)
    client_name: str = field(repr=False)
    scheduled_date: date
    scheduled_start: datetime | None
    status: CaseStatus
    is_retired: bool
    landed: LandedState | None


_CASES = f"""
    SELECT c.id, c.pims_id, c.patient_name, c.client_name, c.scheduled_date, c.scheduled_start,
        c.status, {SOFT_DELETED} AS is_retired, a.business_date, a.scheduled_start AS landed_start,
        a.payload ->> 'status' AS landed_status, a.last_seen_at, a.missing_since, a.removed_at,
        a.left_out
    FROM cases AS c
    LEFT JOIN pims_appointments AS a ON a.clinic_id = c.clinic_id
        AND a.provider_type = c.provider_type AND a.pims_id = c.pims_id
    WHERE c.clinic_id = :clinic_id AND c.id = ANY(:ids)
    ORDER BY c.scheduled_date, c.scheduled_start, c.id
"""  # noqa: S608 - fixed column list

_LISTED_AT = text(
    """
    SELECT max(fetched_at) FROM case_sync_audits
    WHERE clinic_id = :clinic_id AND sync_type IN ('inbound', 'reconciliation')
        AND status IN ('completed', 'held') AND window_start <= :first AND window_end >= :last
    """
)


def held_cases(
    connection: Connection, clinic_id: UUID, case_ids: Collection[UUID]
) -> list[HeldCase]:
    """These cases, by the time of their appointments; without those that no longer exist."""
    rows = connection.execute(text(_CASES), {"clinic_id": clinic_id, "ids": list(case_ids)})
    return [_case(row) for row in rows]


def listed_at(connection: Connection, clinic_id: UUID, window: DateRange) -> datetime | None:
    """When the last listing of the whole window was requested; None for none that is kept."""
    found: datetime | None = connection.scalar(
        _LISTED_AT, {"clinic_id": clinic_id, "first": window.start, "last": window.end}
    )
    return found


def _case(row: Row[Any]) -> HeldCase:
    landed = None
    if row.last_seen_at is not None:
        landed = LandedState(
            business_date=row.business_date,
            scheduled_start=row.landed_start,
            status=row.landed_status or "",
            last_seen_at=row.last_seen_at,
            missing_since=row.missing_since,
            removed_at=row.removed_at,
            is_left_out=row.left_out,
        )
    return HeldCase(
        id=row.id,
        pims_id=row.pims_id,
        patient_name=row.patient_name,
        client_name=row.client_name,
        scheduled_date=row.scheduled_date,
        scheduled_start=row.scheduled_start,
        status=CaseStatus(row.status),
        is_retired=row.is_retired,
        landed=landed,
    )
