"""Cases, and what a vendor's appointment means for one: status, type, draft, changes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from pims_pipeline.domain.appointments import PimsAppointment


class CaseStatus(StrEnum):
    """Where a case stands in the clinic's day."""

    DRAFT = "draft"
    ONGOING = "ongoing"
    COMPLETED = "completed"
    REVIEWED = "reviewed"


class CaseType(StrEnum):
    """What a case is about."""

    CHECKUP = "checkup"
    SURGERY = "surgery"
    EMERGENCY = "emergency"
    FOLLOW_UP = "follow_up"


class EventKind(StrEnum):
    """What happened to a case."""

    CREATED = "created"
    UPDATED = "updated"
    RESCHEDULED = "rescheduled"
    STATUS_CHANGED = "status_changed"
    ENRICHED = "enriched"
    SOFT_DELETED = "soft_deleted"
    RESTORED = "restored"


Changes = Mapping[str, tuple[Any, Any]]
"""Field by field, JSON-ready: the value before and the value after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One entry of a case's life story, before it gets its audit and run.

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
    """What a case should say, by the vendor's appointment alone.

    Attributes:
        facts: Goes into ``metadata.appointment``: the vendor's own words.
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
class Case:
    """A stored case, as far as the sync is concerned with it."""

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


_STATUS_WORDS: Mapping[CaseStatus, tuple[str, ...]] = {
    CaseStatus.DRAFT: (
        "scheduled",
        "confirmed",
        "unconfirmed",
        "not arrived",
        "not confirmed",
        "booked",
        "pending",
    ),
    CaseStatus.ONGOING: (
        "checked in",
        "arrived",
        "in progress",
        "in consultation",
        "in room",
        "admitted",
        "ready to pay",
        "ready for discharge",
    ),
    CaseStatus.COMPLETED: (
        "completed",
        "complete",
        "finalized",
        "finished",
        "done",
        "discharged",
        "departed",
        "paid",
        "closed",
    ),
    CaseStatus.REVIEWED: ("cancelled", "canceled", "no show", "did not attend"),
}
_STATUS_BY_WORD = {word: status for status, words in _STATUS_WORDS.items() for word in words}

_TYPE_WORDS: Mapping[CaseType, tuple[str, ...]] = {
    CaseType.EMERGENCY: ("emergency", "urgent", "urgent care"),
    CaseType.SURGERY: ("surgery", "dental", "dentistry", "procedure", "neuter", "spay"),
    CaseType.FOLLOW_UP: ("follow up", "recheck", "re check", "suture removal"),
    CaseType.CHECKUP: (
        "exam",
        "checkup",
        "check up",
        "well visit",
        "wellness",
        "vaccination",
        "vaccinations",
        "vaccine",
        "vaccines",
        "diagnostic",
        "consultation",
        "sick",
        "default",
    ),
}
"""By urgency, most urgent first."""
_TYPE_BY_WORD = {word: kind for kind, words in _TYPE_WORDS.items() for word in words}
_TYPE_PATTERNS = {
    kind: re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in words)})\b")
    for kind, words in _TYPE_WORDS.items()
}


def _plain(text: str | None) -> str:
    """Lower case, with every run of spaces, underscores and hyphens as one space."""
    return re.sub(r"[\s_-]+", " ", (text or "").casefold()).strip()


@lru_cache(maxsize=1024)
def status_of(vendor_status: str | None) -> CaseStatus | None:
    """The case status for a vendor's word, or None when the word is not known."""
    return _STATUS_BY_WORD.get(_plain(vendor_status))


@lru_cache(maxsize=1024)
def case_type_of(vendor_type: str | None) -> CaseType:
    """The case type for a clinic's own words.

    An exact match wins; then the most urgent word found ("Dental - Surgery",
    "URGENT recheck"); anything else is a checkup.
    """
    plain = _plain(vendor_type)
    if exact := _TYPE_BY_WORD.get(plain):
        return exact
    return next(
        (kind for kind, pattern in _TYPE_PATTERNS.items() if pattern.search(plain)),
        CaseType.CHECKUP,
    )


def draft_of(appointment: PimsAppointment) -> CaseDraft:
    """The case that an appointment calls for. An unknown status gives a draft."""
    status = status_of(appointment.status)
    return CaseDraft(
        patient_name=appointment.patient.name,
        patient_species=appointment.patient.species,
        client_name=appointment.client.name,
        client_phone=appointment.client.phone,
        scheduled_date=appointment.business_date,
        scheduled_start=appointment.scheduled_start,
        scheduled_end=appointment.scheduled_end,
        status=status or CaseStatus.DRAFT,
        case_type=case_type_of(appointment.appointment_type),
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
    """The identity of the case that a vendor's visit becomes.

    It follows from the visit alone, so that a plan can name it without asking a
    database, and a visit whose case was lost gets the same case again.
    """
    return uuid5(_CASE_NAMESPACE, f"{clinic_id}/{provider_type}/{pims_id}")
