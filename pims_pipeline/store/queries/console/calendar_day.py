"""A business date of a clinic: each landed appointment beside its case. Read-only."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.cases.metadata import ENRICHED, SOFT_DELETED
from pims_pipeline.store.cases.reading import landed_appointment


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedRecord:
    """An appointment as it was landed. Times are aware UTC.

    Attributes:
        missing_since: The first complete listing of its date without it.
        removed_at: When it was confirmed to be gone.
        meant_status: What its status meant when its case last followed it.
        meant_type: What its type meant then.
    """

    appointment: PimsAppointment = field(repr=False)
    last_seen_at: datetime
    missing_since: datetime | None
    removed_at: datetime | None
    meant_status: str | None
    meant_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseBeside:
    """A case beside its appointment. Holds personal data: its repr shows none.

    Attributes:
        retired_because: The reason in its metadata; None if it is not retired.
    """

    id: UUID
    pims_id: str | None
    patient_name: str = field(repr=False)
    patient_species: str | None
    client_name: str = field(repr=False)
    client_phone: str | None = field(repr=False)
    scheduled_date: date
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    status: CaseStatus
    case_type: CaseType
    is_retired: bool
    retired_because: str | None
    has_consultation: bool


@dataclass(frozen=True, slots=True)
class DayRow:
    """A landed record, its case, or both."""

    record: LandedRecord | None
    case: CaseBeside | None

    @property
    def starts_at(self) -> datetime | None:
        """When it begins: at the vendor, else in the case."""
        if self.record is not None:
            return self.record.appointment.scheduled_start
        return self.case.scheduled_start if self.case else None


def calendar_day(connection: Connection, clinic: Clinic, day: date) -> list[DayRow]:
    """What is landed for the date, what cases are of it, and the cases of what is landed."""
    rows = connection.execute(
        text(_DAY),
        {"clinic_id": clinic.id, "provider_type": clinic.provider_type, "day": day},
    )
    return [DayRow(_record(row), _case(row)) for row in rows]


def _record(row: Row[Any]) -> LandedRecord | None:
    if row.payload is None:
        return None
    return LandedRecord(
        appointment=landed_appointment(row),
        last_seen_at=row.last_seen_at,
        missing_since=row.missing_since,
        removed_at=row.removed_at,
        meant_status=row.meant_status,
        meant_type=row.meant_type,
    )


def _case(row: Row[Any]) -> CaseBeside | None:
    if row.id is None:
        return None
    return CaseBeside(
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
        is_retired=row.is_retired,
        retired_because=row.retired_because,
        has_consultation=row.has_consultation,
    )


_DAY = f"""
    WITH landed AS (
        SELECT * FROM pims_appointments
        WHERE clinic_id = :clinic_id AND provider_type = :provider_type AND business_date = :day
    ), kept AS (
        SELECT c.id, c.pims_id, c.provider_type, c.patient_name, c.patient_species,
            c.client_name, c.client_phone, c.scheduled_date, c.scheduled_start, c.scheduled_end,
            c.status, c.case_type, {SOFT_DELETED} AS is_retired,
            c.metadata #>> '{{reconciliation,reason}}' AS retired_because,
            {ENRICHED} AS has_consultation
        FROM cases AS c
        WHERE c.clinic_id = :clinic_id AND (
            c.scheduled_date = :day
            OR (c.provider_type = :provider_type AND c.pims_id IN (SELECT pims_id FROM landed)))
    )
    SELECT landed.payload, landed.resources, landed.left_out, landed.last_seen_at,
        landed.missing_since, landed.removed_at, landed.meant_status, landed.meant_type,
        kept.id, kept.pims_id, kept.patient_name, kept.patient_species, kept.client_name,
        kept.client_phone, kept.scheduled_date, kept.scheduled_start, kept.scheduled_end,
        kept.status, kept.case_type, kept.is_retired, kept.retired_because,
        kept.has_consultation
    FROM landed FULL JOIN kept
        ON kept.provider_type = landed.provider_type AND kept.pims_id = landed.pims_id
    ORDER BY coalesce(landed.scheduled_start, kept.scheduled_start), landed.pims_id, kept.id
"""  # noqa: S608 - fixed conditions
