"""Which words a clinic's appointments have, what each means, and by whose list. Pure.

What words mean belongs in ``words``, a clinic's own ones in ``clinic_words``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from pims_pipeline.domain.records.clinic_words import OwnWords, with_own_words
from pims_pipeline.domain.records.words import (
    CaseStatus,
    CaseType,
    Match,
    WordKind,
    Words,
    plain_word,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWords:
    """Appointments with the same words.

    Attributes:
        status: The vendor's own words.
        appointment_type: As ``status``; None where appointments have none.
        stated_type: See ``PimsAppointment``.
        appointments: How many there are.
        last_date: The latest business date of one; None when no appointment has them yet.
    """

    status: str | None = None
    appointment_type: str | None = None
    stated_type: CaseType | None = None
    appointments: int = 0
    last_date: date | None = None


class WordBasis(StrEnum):
    """Why a word means what it means."""

    CLINIC = "clinic"
    KNOWN = "known"
    PART = "part"
    UNKNOWN = "unknown"

    @property
    def is_guess(self) -> bool:
        """Whether no list has the word as a whole."""
        return self in {WordBasis.PART, WordBasis.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordUse:
    """A word of a clinic.

    Attributes:
        word: As most of its appointments write it.
        meaning: What it means for a case.
        basis: Why.
        appointments: How many known appointments have it.
        stated: How many of those have a case type that the vendor states, so that the word of
            their type decides nothing.
        last_date: The latest business date of one; None when none has it.
    """

    kind: WordKind
    word: str
    meaning: CaseStatus | CaseType
    basis: WordBasis
    appointments: int = 0
    stated: int = 0
    last_date: date | None = None

    @property
    def is_guess(self) -> bool:
        """Whether the word decides about cases, and no list has it as a whole."""
        return self.basis.is_guess and (not self.appointments or self.appointments > self.stated)


@dataclass(slots=True)
class _Tally:
    spellings: Counter[str] = field(default_factory=Counter)
    stated: int = 0
    last_date: date | None = None


def word_uses(seen: Iterable[SeenWords], vendor: Words, own: OwnWords) -> list[WordUse]:
    """The words of these appointments and the clinic's own, the least known first.

    Spellings that comparisons take for one word are one word. Appointments without a type have no
    word for it.
    """
    words = with_own_words(vendor, own)
    tallies: dict[tuple[WordKind, str], _Tally] = {key: _Tally() for key in own}
    for each in seen:
        for kind, text in _words_of(each):
            tally = tallies.setdefault((kind, plain_word(text)), _Tally())
            tally.spellings[text] += each.appointments
            if kind is WordKind.TYPE and each.stated_type is not None:
                tally.stated += each.appointments
            if each.last_date is not None:
                tally.last_date = max(tally.last_date or each.last_date, each.last_date)
    uses = [_use(kind, plain, tally, words, own) for (kind, plain), tally in tallies.items()]
    return sorted(uses, key=_order)


def _order(use: WordUse) -> tuple[str, int, int, str]:
    doubt = list(WordBasis).index(use.basis) if use.is_guess else 0
    return use.kind, -doubt, -use.appointments, use.word.casefold()


def _words_of(seen: SeenWords) -> Iterator[tuple[WordKind, str]]:
    # An empty status is one: a vendor may leave it out. An empty type is none.
    if seen.status is not None:
        yield WordKind.STATUS, seen.status
    if plain_word(seen.appointment_type):
        yield WordKind.TYPE, seen.appointment_type or ""


def _use(kind: WordKind, plain: str, tally: _Tally, words: Words, own: OwnWords) -> WordUse:
    most_used: Sequence[tuple[str, int]] = tally.spellings.most_common(1)
    word = most_used[0][0] if most_used else plain
    if kind is WordKind.STATUS:
        meaning: CaseStatus | CaseType = words.status_of(word) or CaseStatus.DRAFT
        match = Match.NONE if words.status_of(word) is None else Match.EXACT
    else:
        meaning, match = words.case_type_of(word), words.type_match(word)
    return WordUse(
        kind=kind,
        word=word,
        meaning=meaning,
        basis=WordBasis.CLINIC if (kind, plain) in own else _BASES[match],
        appointments=tally.spellings.total(),
        stated=tally.stated,
        last_date=tally.last_date,
    )


_BASES = {
    Match.EXACT: WordBasis.KNOWN,
    Match.PART: WordBasis.PART,
    Match.NONE: WordBasis.UNKNOWN,
}
