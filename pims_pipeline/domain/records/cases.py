"""Cases, and what a vendor's appointment means for one: status, type, draft, changes.

What single words mean belongs in ``words``, what a listing changes in the cases in ``inbound``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pims_pipeline.domain.records.appointments import Patient, PimsAppointment
from pims_pipeline.domain.records.words import (
    DEFAULT_WORDS,
    CaseStatus,
    CaseType,
    Meaning,
    Words,
)


class EventKind(StrEnum):
    """What happened to a case."""

    CREATED = "created"
    UPDATED = "updated"
    RESCHEDULED = "rescheduled"
    STATUS_CHANGED = "status_changed"
    ENRICHED = "enriched"
    SOFT_DELETED = "soft_deleted"
    RESTORED = "restored"
    ADOPTED = "adopted"


Changes = Mapping[str, tuple[Any, Any]]
"""Field by field, JSON-ready: the value before and the value after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One entry of a case history, before it gets its audit and run.

    Attributes:
        business_date: The date whose partition caused the change.
        source_digest: Digest of the vendor record that caused it, if one did.
        occurred_at: Aware UTC.
    """

    case_id: UUID
    kind: EventKind
    business_date: date
    changes: Changes
    source_digest: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDraft:
    """The fields of a case as they follow from the vendor's appointment alone.

    Attributes:
        facts: The vendor's own words, for ``metadata.appointment``.
    """

    patient_name: str
    patient_species: str | None
    client_name: str
    client_phone: str | None
    scheduled_date: date
    scheduled_start: datetime
    scheduled_end: datetime
    status: CaseStatus
    case_type: CaseType
    facts: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedConsultation:
    """The part of a case's consultation that a sync reads.

    Attributes:
        patient: As the consultation names it; None when it names none.
        content: The whole consultation, JSON-ready; read only if it may be removed.
    """

    patient: Patient | None
    content: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stored case, as far as the sync is concerned with it.

    Attributes:
        facts: The vendor's words in ``metadata.appointment``; empty when they cannot be read.
        consultation: The consultation on the case; None when there is none or it is unreadable.
        damage: Unreadable content in the sync's paths of ``metadata``, JSON-ready, by path:
            ``metadata`` when it is no object at all, else ``metadata.appointment`` (None when it
            is missing), ``metadata.consultation`` and ``metadata.reconciliation``.
    """

    id: UUID
    pims_id: str
    patient_name: str
    patient_species: str | None
    client_name: str
    client_phone: str | None
    scheduled_date: date
    scheduled_start: datetime
    scheduled_end: datetime
    status: CaseStatus
    case_type: CaseType
    facts: Mapping[str, str | None]
    soft_deleted: bool
    consultation: AttachedConsultation | None = None
    damage: Mapping[str, Any] = field(default_factory=dict, repr=False)


def meaning_of(appointment: PimsAppointment, words: Words) -> Meaning:
    """The case status and type that follow from an appointment.

    A case type that the vendor states wins over the words of its appointment type.
    """
    meant = words.meaning_of(appointment.status, appointment.appointment_type)
    stated = appointment.stated_type
    return meant if stated is None else replace(meant, case_type=stated)


def draft_of(appointment: PimsAppointment, words: Words = DEFAULT_WORDS) -> CaseDraft:
    """The case that follows from an appointment. An unknown status gives a draft."""
    meaning = meaning_of(appointment, words)
    return CaseDraft(
        patient_name=appointment.patient.name,
        patient_species=appointment.patient.species,
        client_name=appointment.client.name,
        client_phone=appointment.client.phone,
        scheduled_date=appointment.business_date,
        scheduled_start=appointment.scheduled_start,
        scheduled_end=appointment.scheduled_end,
        status=meaning.status,
        case_type=meaning.case_type,
        facts={
            "status": appointment.status,
            "type": appointment.appointment_type,
            "provider": appointment.provider,
            "room": appointment.room,
            "reason": appointment.reason,
        },
    )


_CASE_NAMESPACE = UUID("5b0a3b5e-6d3c-5f0e-9c51-0c1f0f6f7a52")


def case_id_of(clinic_id: UUID, provider_type: str, pims_id: str) -> UUID:
    """The identity of the case of a vendor's appointment.

    It follows from the appointment alone: a plan needs no database to name it, and an appointment
    whose case was lost gets the same case again.
    """
    return uuid5(_CASE_NAMESPACE, f"{clinic_id}/{provider_type}/{pims_id}")
