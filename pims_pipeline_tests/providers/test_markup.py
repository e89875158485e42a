"""Vendor HTML as text that keeps its lines."""

import pytest

from pims_pipeline.providers.idexx_neo.markup import plain_text


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
