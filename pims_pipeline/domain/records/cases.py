"""Cases, and what a vendor's appointment means for one: status, type, draft, changes.

Add a vendor's word to ``ADDED_STATUS_WORDS`` or ``ADDED_TYPE_WORDS``. What a listing changes in
the cases belongs in ``inbound``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from pims_pipeline.domain.records.appointments import Patient, PimsAppointment


class CaseStatus(StrEnum):
    """How far a case has progressed."""

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


_FIRST_STATUS_WORDS: Mapping[CaseStatus, tuple[str, ...]] = {
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
_FIRST_TYPE_WORDS: Mapping[CaseType, tuple[str, ...]] = {
    CaseType.EMERGENCY: ("emergency", "urgent", "urgent care"),
    CaseType.SURGERY: ("surgery", "dental", "dentistry", "procedure", "neuter", "spay"),
    CaseType.FOLLOW_UP: ("follow up", "recheck", "re check", "suture removal"),
    CaseType.CHECKUP: (
        "exam",
        "checkup",
        "check up",
        "well appointment",
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
_URGENCY = (CaseType.EMERGENCY, CaseType.SURGERY, CaseType.FOLLOW_UP, CaseType.CHECKUP)

ADDED_STATUS_WORDS: Mapping[str, CaseStatus] = {}
"""Status words that were added or changed later, in lower case with single spaces."""
ADDED_TYPE_WORDS: Mapping[str, CaseType] = {}
"""Type words that were added or changed later, in the same spelling."""


def plain_word(text: str | None) -> str:
    """Lower case, with every run of spaces, underscores and hyphens as one space."""
    return re.sub(r"[\s_-]+", " ", (text or "").casefold()).strip()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a vendor's words mean for a case."""

    status: CaseStatus
    case_type: CaseType


@dataclass(frozen=True)
class Words:
    """What each vendor word means. A value, so that a clinic may have its own words.

    Attributes:
        statuses: By word, in lower case with single spaces.
        types: By the words that a clinic's appointment type may contain, in the same spelling.
    """

    statuses: Mapping[str, CaseStatus]
    types: Mapping[str, CaseType]

    def __post_init__(self) -> None:
        patterns = {
            kind: re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")
            for kind in _URGENCY
            if (words := [word for word, meant in self.types.items() if meant is kind])
        }

        @lru_cache(maxsize=1024)
        def status(vendor_status: str | None) -> CaseStatus | None:
            return self.statuses.get(plain_word(vendor_status))

        @lru_cache(maxsize=1024)
        def case_type(vendor_type: str | None) -> CaseType:
            plain = plain_word(vendor_type)
            if exact := self.types.get(plain):
                return exact
            found = (kind for kind, pattern in patterns.items() if pattern.search(plain))
            return next(found, CaseType.CHECKUP)

        object.__setattr__(self, "_status", status)
        object.__setattr__(self, "_case_type", case_type)

    _status: Callable[[str | None], CaseStatus | None] = field(
        init=False, repr=False, compare=False
    )
    _case_type: Callable[[str | None], CaseType] = field(init=False, repr=False, compare=False)

    def status_of(self, vendor_status: str | None) -> CaseStatus | None:
        """The case status for a vendor's word; None when the word is not known."""
        return self._status(vendor_status)

    def case_type_of(self, vendor_type: str | None) -> CaseType:
        """The case type for a clinic's own words.

        An exact match wins; then the most urgent word found ("Dental - Surgery",
        "URGENT recheck"); anything else is a checkup.
        """
        return self._case_type(vendor_type)

    def meaning_of(self, vendor_status: str | None, vendor_type: str | None) -> Meaning:
        """The case status and type for both words. An unknown status means a draft."""
        return Meaning(
            self.status_of(vendor_status) or CaseStatus.DRAFT, self.case_type_of(vendor_type)
        )

    def adding(
        self,
        statuses: Mapping[str, CaseStatus] | None = None,
        types: Mapping[str, CaseType] | None = None,
    ) -> "Words":
        """These words and further ones, in any spelling; the further ones take precedence."""
        return Words(
            {
                **self.statuses,
                **{plain_word(word): each for word, each in (statuses or {}).items()},
            },
            {**self.types, **{plain_word(word): each for word, each in (types or {}).items()}},
        )


FIRST_WORDS = Words(
    {word: status for status, words in _FIRST_STATUS_WORDS.items() for word in words},
    {word: kind for kind, words in _FIRST_TYPE_WORDS.items() for word in words},
)
"""The meanings before they were stored with each landed record. Never edit these: a landed record
without stored meanings was read by them. Add words to ``ADDED_STATUS_WORDS`` and
``ADDED_TYPE_WORDS``."""

DEFAULT_WORDS = FIRST_WORDS.adding(ADDED_STATUS_WORDS, ADDED_TYPE_WORDS)
"""What words mean for every clinic."""


def status_of(vendor_status: str | None) -> CaseStatus | None:
    """The case status for a vendor's word, by ``DEFAULT_WORDS``; None when unknown."""
    return DEFAULT_WORDS.status_of(vendor_status)


def case_type_of(vendor_type: str | None) -> CaseType:
    """The case type for a clinic's own words, by ``DEFAULT_WORDS``."""
    return DEFAULT_WORDS.case_type_of(vendor_type)


def draft_of(appointment: PimsAppointment, words: Words = DEFAULT_WORDS) -> CaseDraft:
    """The case that follows from an appointment. An unknown status gives a draft."""
    meaning = words.meaning_of(appointment.status, appointment.appointment_type)
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
