"""A clinic's own words over the common ones, in any spelling and order."""

import unicodedata
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.clinic_words import (
    WordChange,
    effective,
    own_words,
    typed_meaning,
    typed_word,
    with_own_words,
)
from pims_pipeline.domain.records.word_uses import SeenWords, WordBasis, word_uses
from pims_pipeline.domain.records.words import (
    DEFAULT_WORDS,
    CaseStatus,
    CaseType,
    WordKind,
    plain_word,
)

WORDS = st.sampled_from(["Empfang", "arrived", "Größe", "a=b", "  well - come "])
MEANINGS = st.sampled_from([None, *CaseStatus])
CHANGES = st.lists(st.builds(WordChange, st.just(WordKind.STATUS), WORDS.map(typed_word), MEANINGS))


@given(changes=CHANGES)
def test_of_each_word_the_last_change_counts(changes: list[WordChange]) -> None:
    words = with_own_words(DEFAULT_WORDS, own_words(changes))
    last = {each.word: each.meaning for each in changes}
    for word, meaning in last.items():
        assert words.status_of(word.upper()) == (meaning or DEFAULT_WORDS.status_of(word))


@given(changes=CHANGES)
def test_one_by_one_or_only_what_is_effective_gives_the_same(changes: list[WordChange]) -> None:
    def applied(log: list[WordChange], change: WordChange) -> list[WordChange]:
        own = own_words(log)
        is_removal_of_nothing = change.meaning is None and (change.kind, change.word) not in own
        return log if is_removal_of_nothing else [*log, *effective(own, [change])]

    log: list[WordChange] = []
    for change in changes:
        log = applied(log, change)
    assert own_words(log) == own_words(changes)


@given(text=st.text())
def test_a_word_is_the_same_in_every_normal_form_of_its_letters(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert plain_word(composed) == plain_word(decomposed)
    assert plain_word(plain_word(text)) == plain_word(text)


def test_a_word_may_hold_the_sign_before_its_meaning() -> None:
    assert typed_meaning(" A=b =Surgery ", WordKind.TYPE) == WordChange(
        WordKind.TYPE, "a=b", CaseType.SURGERY
    )


def test_spellings_of_a_word_are_one_use_and_stated_types_are_no_guess() -> None:
    day = date(2026, 3, 5)
    seen = [
        SeenWords(status="In Car", appointment_type="TPLO", appointments=2, last_date=day),
        SeenWords(status="in-car", appointment_type=" ", appointments=3),
        SeenWords(
            status="", appointment_type="Neuter?", stated_type=CaseType.SURGERY, appointments=1
        ),
    ]
    own = own_words([typed_meaning("tplo=surgery", WordKind.TYPE)])
    found = [
        (each.word, each.basis, each.appointments, each.last_date, each.is_guess)
        for each in word_uses(seen, DEFAULT_WORDS, own)
    ]
    assert found == [
        ("in-car", WordBasis.UNKNOWN, 5, day, True),
        ("", WordBasis.UNKNOWN, 1, None, True),
        ("TPLO", WordBasis.CLINIC, 2, day, False),
        ("Neuter?", WordBasis.PART, 1, None, False),
    ]
