"""Vendor HTML as text that keeps its lines."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pims_pipeline.providers.parsing.markup import (
    CUT_MARK,
    MAX_MARKUP,
    MAX_TEXT,
    plain_text,
    was_cut,
)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("one<br><br>two", "one\n\ntwo"),
        ("one<br><br><br><br>two", "one\n\ntwo"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<ul><li>one<li>two", "one\ntwo"),
        ("<p>un<b>believ</b>able</p>", "unbelievable"),
        ("<p>one\n  and\tthe same</p>", "one and the same"),
        ("<pre>one\n  two</pre>", "one\ntwo"),
        ("<table><tr><td>T</td><td>38.5</td></tr><tr><td>P</td></tr></table>", "T 38.5\nP"),
        ("a&nbsp;&lt;&nbsp;b &amp; c &#233;", "a < b & c é"),
        ("&lt;b&gt;", "<b>"),
        ("<script>alert('x')</script><p>kept</p><style>p{}</style>", "kept"),
        ("<p onclick='x()'>kept<!-- not this --></p>", "kept"),
        ("<p>broken <b>markup", "broken markup"),
        ("<img src=x onerror=y><p>kept</p>", "kept"),
    ],
)
def test_markup_becomes_lines(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize("text", ["weight < 5 kg", "temp <baseline\n  next line", "A & B", "a > b"])
def test_text_that_is_no_markup_stays_as_it_is(text: str) -> None:
    assert plain_text(text) == text


@pytest.mark.parametrize("markup", ["", "  ", "<p></p>", "<p>&nbsp;</p>", "<script>x</script>"])
def test_markup_without_words_is_nothing(markup: str) -> None:
    assert plain_text(markup) is None


def test_deep_nesting_is_read_to_its_bottom() -> None:
    assert plain_text("<div>" * 5_000 + "kept") == "kept"


def test_markup_nested_beyond_reason_keeps_its_words_and_lines() -> None:
    deep = "<div>" * 200_000
    assert plain_text(f"<p>one</p>{deep}two<script>gone</script>{'</div>' * 200_000}three") == (
        "one\n\ntwo\n\nthree"
    )


def test_a_picture_inside_the_notes_takes_no_words_away() -> None:
    picture = f"<img src='data:image/png;base64,{'A' * MAX_MARKUP}'>"
    assert plain_text(f"<p>before</p>{picture}<p>after</p>") == "before\nafter"


@pytest.mark.parametrize("markup", ["word " * MAX_TEXT, "<p>word</p>" * MAX_TEXT])
def test_a_text_that_is_too_long_is_cut_off_and_says_so(markup: str) -> None:
    text = plain_text(markup)
    assert text is not None
    assert was_cut(text)
    assert len(text) <= MAX_TEXT + len(CUT_MARK) + 1
    assert text.startswith("word")


def test_a_text_that_fits_is_not_cut() -> None:
    text = plain_text("<p>" + "x" * MAX_TEXT + "</p>")
    assert text == "x" * MAX_TEXT
    assert not was_cut(text)


_NAMES = ["div", "b a=1", "b a=2", "p", "/p", "/div", "table", "td", "li", "script", "svg", "pre"]
_SIGNS = ["<", ">", "&", "&amp;", "&#", " ", "x", "<!--", "<![CDATA[", "<a href='", '<p title="']
_PIECES = [f"<{name}>" for name in _NAMES] + _SIGNS


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map("".join))
@example("<div>")
@example("<td>x")
@example("<b a=1><b a=2><p>")
@example("<a \"<b '")
def test_reading_takes_time_in_line_with_the_length(pattern: str) -> None:
    # CPU time, which other programs do not lengthen. It takes a tenth of the budget; for a
    # parser that is quadratic in the depth, the nested blocks take several times as much.
    markup = pattern * (250_000 // len(pattern))
    began = time.process_time()
    plain_text(markup)
    assert time.process_time() - began < 4
