"""A case here and its row in the application, as far as one is written from the other. Pure.

What is written is decided in ``rows``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.adoption.application.metadata import StoredConsultation
from pims_pipeline.domain.adoption.v4 import Layout, V4Patient
from pims_pipeline.domain.records.cases import DEFAULT_WORDS, Words


@dataclass(frozen=True, slots=True)
class LastWrite:
    """What we last left in a row; None where people had changed it.

    Attributes:
        is_former: Whether that was before the clinic's last switch, so that the v4.0 service may
            have written the row since.
    """

    status: str | None
    case_type: str | None
    is_former: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedCase:
    """A case of an appointment, as it is here. Times are aware UTC.

    Attributes:
        row_id: The id of its row in the application.
        was_there: Whether that row was seen or written before.
        is_landed: Whether its appointment was listed; nothing of an imported case is written
            before, except its retirement.
        facts: The vendor's words; None if they cannot be read.
        consultation: The consultation on it, if there is one.
        retirement: Its mark, if it is retired: ``reason`` and ``deletedAt``.
        is_guarded: Whether a reconciliation retired it, which has a deletion guard.
        last: What we last left in the row; None if we never wrote it.
    """

    id: UUID
    row_id: UUID
    was_there: bool
    appointment_id: str
    patient_name: str = field(repr=False)
    patient_species: str | None
    patient_breed: str | None
    client_name: str = field(repr=False)
    client_phone: str | None = field(repr=False)
    client_email: str | None = field(repr=False)
    scheduled_date: date
    scheduled_start: datetime
    status: str
    case_type: str
    visibility: str
    is_landed: bool
    facts: Mapping[str, str | None] | None = field(repr=False)
    consultation: StoredConsultation | None
    retirement: Mapping[str, str | None] | None
    is_guarded: bool
    last: LastWrite | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """The application's row of a case, as it is. Times are aware UTC.

    Attributes:
        appointment_id: The vendor's id in its external id; None if it names none.
        scheduled_date: In the documented layout; ``scheduled_at`` in the deployed one.
        has_metadata: Whether its metadata is an object or nothing, so that a key can be written.
        service_metadata: The keys of its metadata that the v4.0 service owned, without the
            consultation.
        consultation: Its ``pimsConsultation``, if it has one.
        patient: None if it has no row in ``patients``.
        patient_id: The id of that row, of whatever type.
    """

    id: UUID
    clinic_id: UUID | None
    appointment_id: str | None
    scheduled_at: datetime | None
    scheduled_date: date | None
    status: str
    case_type: str
    has_metadata: bool
    service_metadata: Mapping[str, Any] = field(repr=False)
    consultation: StoredConsultation | None
    patient: V4Patient | None = field(repr=False)
    patient_id: str | None


@dataclass(frozen=True, slots=True)
class RowRules:
    """What the rows of an installation can hold.

    Attributes:
        statuses: The values that ``status`` can have there; empty if any.
        case_types: The same for the type.
        patient_columns: The columns of ``patients``; None if there is no such table.
        lengths: How many characters a name's column can hold, where that is limited.
        words: What words mean to the v4.0 service.
    """

    layout: Layout
    clinic_id: UUID
    statuses: Collection[str] = ()
    case_types: Collection[str] = ()
    patient_columns: Collection[str] | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)
    words: Words = DEFAULT_WORDS
