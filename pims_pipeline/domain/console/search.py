"""What an operator searches cases for, read from one line of text. Pure.

A line may be words of names, the end of a phone number, or a vendor's id; what it could be is
searched for. How the database finds it belongs in ``store/queries/console/found_cases.py``.
"""

import re
import string
from dataclasses import dataclass, field
from typing import Final

from pims_pipeline.domain.errors import UserFacingError

LONGEST_SEARCH: Final = 100
"""Characters of a search; the rest is ignored."""
MOST_WORDS: Final = 5
PHONE_DIGITS: Final = 10
"""The last digits of a phone number decide: country codes are written in many ways."""
_FEWEST_DIGITS: Final = 4
_PHONE: Final = re.compile(r"[0-9 ()+./-]*")
_SEPARATORS: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))


class BadSearch(UserFacingError):
    """A search that names nothing; the message says what to type."""


@dataclass(frozen=True, slots=True)
class CaseSearch:
    """What to search for; each part is personal data, and none is ever logged.

    Attributes:
        words: Beginnings of words that a patient's and client's names must hold, all of them.
        phone_end: The last digits of the client's phone number, at most ``PHONE_DIGITS``.
        pims_id: The vendor's id of an appointment.
    """

    words: tuple[str, ...] = field(repr=False)
    phone_end: str | None = field(repr=False)
    pims_id: str | None = field(repr=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        """By what is searched: words that may be logged."""
        parts = {"name": self.words, "phone": self.phone_end, "vendor_id": self.pims_id}
        return tuple(name for name, wanted in parts.items() if wanted)


def parse_search(text: str) -> CaseSearch:
    """Read a search.

    Raises:
        BadSearch: If it has neither two letters or digits nor a letter of a script whose names
            may be one character long.

    Example:
        >>> parse_search("O'Neil, Rex").words
        ('O', 'Neil', 'Rex')
        >>> parse_search("+1 (555) 010-0199").phone_end
        '5550100199'
    """
    line = "".join(each if each.isprintable() else " " for each in text[:LONGEST_SEARCH]).strip()
    significant = [each for each in line if each.isalnum()]
    if len(significant) < 2 and all(each.isascii() for each in significant):  # noqa: PLR2004 - see above
        raise BadSearch("Type at least two letters or digits of a name, a phone number or an id.")
    words = line.translate(_SEPARATORS).split()[:MOST_WORDS]
    digits = "".join(each for each in line if each.isdigit() and each.isascii())
    is_phone = len(digits) >= _FEWEST_DIGITS and _PHONE.fullmatch(line) is not None
    return CaseSearch(
        words=tuple(words) if any(each.isalpha() for each in line) else (),
        phone_end=digits[-PHONE_DIGITS:] if is_phone else None,
        pims_id=line if " " not in line else None,
    )
