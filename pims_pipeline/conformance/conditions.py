"""What the suite asks of a vendor: kinds of requests, conditions, and fields to spoil.

A condition is something that happens at a vendor. Add one here when a promise needs it; the method
that brings it about belongs in ``vendor``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Json = None | bool | int | float | str | Sequence["Json"] | dict[str, "Json"]


class RequestKind(StrEnum):
    """What a request to the vendor is for."""

    LOGIN = "login"
    LISTING = "listing"
    LOOKUP = "lookup"
    CONSULTATION = "consultation"


FETCHES = (RequestKind.LISTING, RequestKind.LOOKUP, RequestKind.CONSULTATION)
"""The requests that follow a login."""


class VendorCondition(StrEnum):
    """What can happen at a vendor. A vendor that cannot have it declares so, with a reason."""

    PERSON_NEEDED = "person_needed"
    """After the right password, only a person can go on: a code, a locked account."""

    SESSION_EXPIRES = "session_expires"
    """The vendor stops accepting the session, or the key, in mid-use."""

    RATE_LIMITED = "rate_limited"
    """The vendor refuses requests because there were too many."""

    SERVER_ERROR = "server_error"
    """The vendor fails, and a later request may succeed."""

    UNEXPECTED_RESPONSE = "unexpected_response"
    """The vendor reports success with something else than it promises, such as a web page."""

    NO_CONTENT = "no_content"
    """The vendor reports success and sends nothing."""

    GARBLED = "garbled"
    """The vendor reports success and sends something that cannot be decoded."""

    BAD_REQUEST = "bad_request"
    """The vendor calls a request malformed, as after a change of its interface."""

    REDIRECTED = "redirected"
    """A response sends the client to another server, which responds with a web page."""

    CUT_OFF = "cut_off"
    """The connection drops in the middle of a response."""

    TRUNCATED = "truncated"
    """Half a response arrives, as if it were whole."""

    SLOW_DRIP = "slow_drip"
    """A response arrives byte by byte, and does not end within any sensible timeout."""

    HUNG = "hung"
    """A request gets no response at all."""

    LISTING_PAGED = "listing_paged"
    """A listing takes several requests."""

    LISTING_SHIFTS = "listing_shifts"
    """People change the calendar between two requests of one listing."""

    LISTING_DOUBLED = "listing_doubled"
    """A listing names records twice."""

    OTHER_LOCATION = "other_location"
    """A listing contains a record of another location than the clinic's."""

    ODD_OPTIONAL_FIELD = "odd_optional_field"
    """A field that only describes has a value of another type than promised."""

    UNREADABLE_DECIDING_FIELD = "unreadable_deciding_field"
    """A field that decides (identity, start, kind, deletion) cannot be read."""

    BLOCK = "block"
    """The calendar holds a blocked slot, which is not an appointment."""

    CANCELLED = "cancelled"
    """A cancelled appointment stays in the calendar."""

    RESTORED = "restored"
    """A deleted appointment comes back under its identity."""

    LATE_CONSULTATION = "late_consultation"
    """An appointment is in progress or over, and its consultation is not written yet."""

    CORRECTED_CONSULTATION = "corrected_consultation"
    """A consultation is changed after it was written."""

    OTHER_PATIENT = "other_patient"
    """The vendor returns another consultation than the appointment's: it is of another patient."""


class Missing:
    """The type of ``MISSING``."""

    def __repr__(self) -> str:
        return "missing"


MISSING = Missing()
"""In place of a value: the field is left out."""

Spoiled = Json | Missing

ODD_VALUES: tuple[Spoiled, ...] = ([], {}, False, "0000-00-00 00:00:00", MISSING)
"""What servers send in place of a description."""

PRIVATE = "Anna Quill-Private"
"""A value that no message may repeat: what cannot be read may be a person's name."""

UNREADABLE_VALUES: tuple[Spoiled, ...] = ([1], {"unreadable": PRIVATE}, PRIVATE)
"""What no time or flag can be read from. Some servers send an empty list for nothing."""


@dataclass(frozen=True, slots=True)
class SpoiledField:
    """A field of the vendor's responses that the suite spoils.

    Attributes:
        kind: The request whose response holds it.
        path: Where it is in the JSON, such as ``data.appointments[].patient.name``: ``[]`` is every
            place of a list, ``[0]`` its first. For vendors without JSON, any name.
        values: What to put there, one after the other.
    """

    kind: RequestKind
    path: str
    values: tuple[Spoiled, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


def optional(
    kind: RequestKind, *paths: str, values: tuple[Spoiled, ...] = ODD_VALUES
) -> tuple[SpoiledField, ...]:
    """Fields that only describe: odd values in them cost no record."""
    return tuple(SpoiledField(kind, path, values) for path in paths)


def deciding(
    kind: RequestKind, *paths: str, values: tuple[Spoiled, ...] = UNREADABLE_VALUES
) -> tuple[SpoiledField, ...]:
    """Fields that decide: a record without them is set aside, and never guessed."""
    return tuple(SpoiledField(kind, path, values) for path in paths)
