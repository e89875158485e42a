"""What an operator types is read as words, a phone number or an id; whatever it is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.console.search import (
    LONGEST_SEARCH,
    MOST_WORDS,
    PHONE_DIGITS,
    BadSearch,
    parse_search,
)


@pytest.mark.parametrize(
    ("typed", "words", "phone", "pims_id"),
    [
        ("Rex", ("Rex",), None, "Rex"),
        ("  O'Neil,  Rex ", ("O", "Neil", "Rex"), None, None),
        ("+1 (555) 010-0199", (), "5550100199", None),
        ("0199", (), "0199", "0199"),
        ("199", (), None, "199"),
        ("appt/19-7", ("appt", "19", "7"), None, "appt/19-7"),
        ("Zoë\x00Ångström", ("Zoë", "Ångström"), None, None),
        ("王", ("王",), None, "王"),
    ],
)
def test_a_line_is_all_that_it_may_be(
    typed: str, words: tuple[str, ...], phone: str | None, pims_id: str | None
) -> None:
    search = parse_search(typed)

    assert (search.words, search.phone_end, search.pims_id) == (words, phone, pims_id)


@pytest.mark.parametrize("typed", ["", "   ", "a", "7", "' - .", "\x00", "%"])
def test_a_line_that_names_nothing_is_refused(typed: str) -> None:
    with pytest.raises(BadSearch, match="at least two letters or digits"):
        parse_search(typed)


@given(st.text(max_size=LONGEST_SEARCH * 2))
def test_no_word_can_end_its_quotes_and_nothing_is_shown_of_it(typed: str) -> None:
    try:
        search = parse_search(typed)
    except BadSearch:
        return

    assert len(search.words) <= MOST_WORDS
    assert not {*"".join(search.words)} & {*string.punctuation, *string.whitespace, "\x00"}
    assert search.phone_end is None or (
        search.phone_end.isascii()
        and search.phone_end.isdigit()
        and len(search.phone_end) <= PHONE_DIGITS
    )
    assert repr(search) == "CaseSearch()"
