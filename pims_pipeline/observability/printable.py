"""Untrusted text, made safe to show on a terminal and in a log.

A vendor's or a person's text may hold characters that control a terminal (ESC and the C1 controls),
overwrite earlier text (backspace, carriage return), or reverse the order of later text
(bidirectional controls). They are shown as escapes.
"""

import unicodedata

_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, format characters, lone surrogates, line separators."""

_JOINERS = "\u200c\u200d"
"""Some scripts and emoji need these two format characters."""


def is_control(character: str) -> bool:
    """Whether a terminal may do something else than show ``character``."""
    return unicodedata.category(character) in _CONTROL_CATEGORIES and character not in _JOINERS


def printable(text: str) -> str:
    r"""``text`` with each control character as an escape such as ``\x1b`` or ``\u202e``.

    Line breaks and tabs are escaped too: the result is one line.
    """
    if text.isprintable():
        return text
    return "".join(_escape(each) if is_control(each) else each for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
