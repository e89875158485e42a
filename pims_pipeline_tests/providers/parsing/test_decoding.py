"""Bytes to text to JSON."""

import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.providers.parsing.decoding import is_cut_off, parse_json, text_of

TEXT = '[{"patient_name": "Zoë", "reason": "20 € “deposit”"}]'


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (TEXT.encode(), None),
        (TEXT.encode(), "utf-8"),
        (TEXT.encode(), "no-such-charset"),
        (TEXT.encode(), "base64"),
        (TEXT.encode("cp1252"), None),
        (TEXT.encode("cp1252"), "utf-8"),
        (TEXT.encode("cp1252"), "Windows-1252"),
        (TEXT.encode("cp1252"), "iso-8859-1"),
        (TEXT.encode("iso8859-15", "ignore"), "iso-8859-15"),
        (codecs.BOM_UTF8 + TEXT.encode(), None),
        (codecs.BOM_UTF8 + TEXT.encode(), "windows-1252"),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-16-le"), None),
        (TEXT.encode("utf-16-be"), None),
        (TEXT.encode("utf-16"), "utf-16"),
        (TEXT.encode("utf-32"), None),
    ],
)
def test_a_body_is_read_by_its_mark_its_charset_or_what_it_is(
    body: bytes, charset: str | None
) -> None:
    read = parse_json(text_of(body, charset))
    assert isinstance(read, list)
    assert read[0]["patient_name"] == "Zoë"


def test_one_byte_of_another_encoding_leaves_its_neighbours_whole() -> None:
    body = '{"a": "Мурка", "b": "Zo'.encode() + b'\xeb", "c": "\x81"}'
    assert json.loads(text_of(body)) == {"a": "Мурка", "b": "Zoë", "c": "\N{REPLACEMENT CHARACTER}"}


@given(st.binary(), st.none() | st.sampled_from(["utf-8", "utf-16", "shift_jis", "utf-7", "x"]))
def test_any_bytes_are_text_that_can_be_stored(body: bytes, charset: str | None) -> None:
    text_of(body, charset).encode("utf-8", "surrogatepass")


def test_control_characters_and_numbers_of_any_length_are_read() -> None:
    assert parse_json('{"a": "one\ntwo\x0b\x00\t"}') == {"a": "one\ntwo\x0b\x00\t"}
    assert parse_json(f"[{'9' * 5000}]") == ["9" * 5000]
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("cut", range(1, len('[{"a": "é\n", "b": [true, null, 1.5]}]'.encode())))
def test_a_body_that_broke_off_anywhere_is_no_data(cut: int) -> None:
    body = '[{"a": "é\n", "b": [true, null, 1.5]}]'.encode()[:cut]
    assert is_cut_off(text_of(body))
