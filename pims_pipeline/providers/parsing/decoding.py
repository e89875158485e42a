"""From the bytes of a response to text, and from text to JSON. Pure; knows no vendor.

What the JSON means belongs in an adapter, the error of a response in ``providers/http``.
"""

import codecs
import json

_LONGEST_INT = 4000
"""Digits; Python refuses to read integers of more than 4300."""
_CLOSE_TO_THE_END = 8
"""Characters: half of a literal or of an escape, where a cut in JSON shows."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF_8 = frozenset({"utf-8", "utf-8-sig", "ascii"})
_MEANT_AS_WINDOWS_1252 = frozenset({"iso8859-1", "cp1252"})
"""Text declared as ISO 8859-1 is read as Windows-1252, as browsers do."""


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """The bytes that are no UTF-8, read as Windows-1252; the text around them is kept."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


# The codec machinery knows error handlers by name; this one is used below alone.
codecs.register_error("pims.windows-1252", _as_windows_1252)


def text_of(body: bytes, charset: str | None = None) -> str:
    """The text of a response's body.

    A byte order mark decides, then the declared charset, then UTF-8. Bytes that are no UTF-8 are
    read as Windows-1252. Never raises: a wrongly read text does not parse.

    Args:
        body: As received.
        charset: From the response's ``Content-Type``, if it has one.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    encoding = _known(charset)
    if encoding in _MEANT_AS_WINDOWS_1252:
        return body.decode("cp1252", "replace")
    if encoding not in _UTF_8:
        try:
            return body.decode(encoding)
        except (LookupError, ValueError):
            # The declaration is wrong: go on as without one.
            pass
    detected = json.detect_encoding(body)
    if detected not in _UTF_8:
        return body.decode(detected, "replace")
    return body.decode("utf-8", "pims.windows-1252")


def _known(charset: str | None) -> str:
    try:
        return codecs.lookup((charset or "utf-8").strip(" \"'")).name
    except (LookupError, ValueError):
        return "utf-8"


def parse_json(text: str) -> object:
    """The JSON in ``text``; control characters inside strings are taken as they are.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deeply.
    """
    decoded: object = json.loads(text, strict=False, parse_int=_whole_number)
    return decoded


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_INT else digits


def is_json(text: str) -> bool:
    """Whether ``text`` is whole JSON."""
    try:
        parse_json(text)
    except (ValueError, RecursionError):
        return False
    return True


def is_cut_off(text: str) -> bool:
    """Whether ``text`` is the beginning of a JSON text, and no more than that."""
    text = text.strip()
    if not text:
        return True
    try:
        parse_json(text)
    except json.JSONDecodeError as error:
        unterminated = error.msg.startswith("Unterminated string")
        at_the_end = error.pos >= len(text) - _CLOSE_TO_THE_END
        return text[0] in "[{" and (unterminated or at_the_end)
    except (ValueError, RecursionError):
        return False
    return False


def looks_like_html(text: str, content_type: str) -> bool:
    """Whether what is not JSON is a web page, by its first character or what it is declared as."""
    first = text.lstrip()[:1]
    return first == "<" or ("html" in content_type.lower() and first not in {"[", "{", ""})
