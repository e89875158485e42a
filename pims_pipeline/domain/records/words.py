"""What vendors' words mean: case statuses, case types, and the words for them.

A provider adds its vendor's words to ``DEFAULT_WORDS``; a clinic adds its own (``clinic_words``).
Add a word that every vendor may use to ``ADDED_STATUS_WORDS`` or ``ADDED_TYPE_WORDS``. Pure.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

Meant = TypeVar("Meant")


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


class WordKind(StrEnum):
    """What a vendor's word describes."""

    STATUS = "status"
    TYPE = "type"

    @property
    def meanings(self) -> "tuple[CaseStatus, ...] | tuple[CaseType, ...]":
        """What a word of this kind may mean."""
        return tuple(CaseStatus) if self is WordKind.STATUS else tuple(CaseType)

    def meaning(self, text: str) -> "CaseStatus | CaseType":
        """The case status or type that is written so.

        Raises:
            ValueError: If there is none.
        """
        return CaseStatus(text) if self is WordKind.STATUS else CaseType(text)


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
ADDED_TYPE_WORDS: Mapping[str, CaseType] = {"well visit": CaseType.CHECKUP}
"""Type words that were added or changed later, in the same spelling."""


def plain_word(text: str | None) -> str:
    """The word as all comparisons write it.

    In lower case and Unicode's normal form C, with every run of spaces, underscores and hyphens as
    one space.
    """
    # Decomposed first: folding the case of a letter may depend on the marks that follow it.
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text or "").casefold())
    return re.sub(r"[\s_-]+", " ", folded).strip()


def _by_plain_word(meanings: Mapping[str, Meant]) -> dict[str, Meant]:
    return {plain_word(word): meant for word, meant in meanings.items()}


class Match(StrEnum):
    """How a vendor's word was found among the known words."""

    EXACT = "exact"
    PART = "part"
    NONE = "none"


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
        def case_type(vendor_type: str | None) -> tuple[CaseType, Match]:
            plain = plain_word(vendor_type)
            if exact := self.types.get(plain):
                return exact, Match.EXACT
            for kind, pattern in patterns.items():
                if pattern.search(plain):
                    return kind, Match.PART
            return CaseType.CHECKUP, Match.NONE

        object.__setattr__(self, "_status", status)
        object.__setattr__(self, "_case_type", case_type)

    _status: Callable[[str | None], CaseStatus | None] = field(
        init=False, repr=False, compare=False
    )
    _case_type: Callable[[str | None], tuple[CaseType, Match]] = field(
        init=False, repr=False, compare=False
    )

    def status_of(self, vendor_status: str | None) -> CaseStatus | None:
        """The case status for a vendor's word; None when the word is not known."""
        return self._status(vendor_status)

    def case_type_of(self, vendor_type: str | None) -> CaseType:
        """The case type for a clinic's own words.

        An exact match wins; then the most urgent word found ("Dental - Surgery",
        "URGENT recheck"); anything else is a checkup.
        """
        return self._case_type(vendor_type)[0]

    def type_match(self, vendor_type: str | None) -> Match:
        """How ``case_type_of`` finds the type: all but an exact match is a guess."""
        return self._case_type(vendor_type)[1]

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
