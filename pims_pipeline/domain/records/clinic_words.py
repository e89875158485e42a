"""A clinic's own status and type words: what they mean there, and how that changes.

A clinic's words take precedence over its vendor's, and those over the common ones. Pure. What words
mean belongs in ``words``; storing a clinic's own belongs in ``store/cases/clinic_words.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.words import (
    CaseStatus,
    CaseType,
    WordKind,
    Words,
    plain_word,
)

MAX_WORD_LENGTH = 200
"""Characters of a word; adapters cut longer texts off later."""

OwnWords = Mapping[tuple[WordKind, str], CaseStatus | CaseType]
"""What a clinic's own words mean, by kind and word as comparisons write it."""


class BadWord(UserFacingError, ValueError):
    """A word or a meaning cannot be used; nothing was changed."""


@dataclass(frozen=True, slots=True)
class WordChange:
    """A change of what one word means at a clinic.

    Attributes:
        word: As comparisons write it; see ``plain_word``.
        meaning: None when the clinic has no meaning of its own for it any more.
    """

    kind: WordKind
    word: str
    meaning: CaseStatus | CaseType | None


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A stored change.

    Attributes:
        changed_by: The operator, for the record.
        changed_at: Aware UTC, by the database's clock.
    """

    change: WordChange
    changed_by: str
    changed_at: datetime


def own_words(changes: Iterable[WordChange]) -> OwnWords:
    """What the clinic's own words mean after these changes, oldest first."""
    found: dict[tuple[WordKind, str], CaseStatus | CaseType] = {}
    for each in changes:
        found.pop((each.kind, each.word), None)
        if each.meaning is not None:
            found[each.kind, each.word] = each.meaning
    return found


def with_own_words(vendor: Words, own: OwnWords) -> Words:
    """The vendor's words with the clinic's own, which take precedence."""
    if not own:
        return vendor
    return vendor.adding(
        {word: each for (_, word), each in own.items() if isinstance(each, CaseStatus)},
        {word: each for (_, word), each in own.items() if isinstance(each, CaseType)},
    )


def typed_word(text: str) -> str:
    """The word that an operator typed, as comparisons write it.

    Raises:
        BadWord: If there is none, or it is too long.
    """
    word = plain_word(text)
    if not word:
        raise BadWord(f"{text!r} has no word, so nothing was changed; write WORD=MEANING")
    if len(word) > MAX_WORD_LENGTH or "\0" in word:
        raise BadWord(
            f"a word is longer than {MAX_WORD_LENGTH} characters or cannot be stored, so nothing "
            "was changed; give the word as `pims clinics words` shows it"
        )
    return word


def typed_meaning(text: str, kind: WordKind) -> WordChange:
    """The change that an operator typed as ``WORD=MEANING``; the word may contain ``=``.

    Raises:
        BadWord: If it is not of this form, or there is no such meaning.
    """
    word, _, meaning = text.rpartition("=")
    wanted = meaning.strip().casefold()
    if plain_word(word) and wanted in kind.meanings:
        return WordChange(kind, typed_word(word), kind.meaning(wanted))
    allowed = ", ".join(kind.meanings)
    raise BadWord(
        f"{text!r} is no {kind} word with a meaning, so nothing was changed; write WORD=MEANING, "
        f"with one of {allowed}"
    )


def effective(own: OwnWords, wanted: Iterable[WordChange]) -> list[WordChange]:
    """The wanted changes that change anything.

    Raises:
        BadWord: If a word is given twice, or one to remove is not the clinic's own.
    """
    changes: dict[tuple[WordKind, str], WordChange] = {}
    for each in wanted:
        key = each.kind, each.word
        if changes.get(key, each) != each:
            raise BadWord(
                f"the {each.kind} word {each.word!r} is given twice, so nothing was changed; give "
                "it one meaning, or remove it"
            )
        if each.meaning is None and key not in own:
            known = ", ".join(repr(word) for kind, word in own if kind is each.kind)
            raise BadWord(
                f"the clinic has no {each.kind} word {each.word!r} of its own, so nothing was "
                f"changed; it has {known or 'none'}"
            )
        changes[key] = each
    return [each for key, each in changes.items() if own.get(key) != each.meaning]
