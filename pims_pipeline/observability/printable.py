"""Text from elsewhere, made safe to show on a terminal and in a log.

A vendor's or a person's text may hold characters that steer a terminal (ESC and the C1
controls), overwrite what stands before them (backspace, carriage return), or reverse the order
of what follows (bidirectional controls). They are shown as escapes, never sent.
"""

import unicodedata

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, format characters, lone surrogates, line separators."""

_JOINERS = "\u200c\u200d"
"""Without these two format characters, some scripts' words and some emoji fall apart."""


def is_steering(character: str) -> bool:
    """Whether a terminal may do something else than show ``character``."""
    return unicodedata.category(character) in _STEERING and character not in _JOINERS


def printable(text: str) -> str:
    r"""``text`` with each steering character as an escape such as ``\x1b`` or ``\u202e``.

    Line breaks and tabs are escaped too: the result is one line.
    """
    if text.isprintable():
        return text
    return "".join(_escape(each) if is_steering(each) else each for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
