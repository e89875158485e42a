"""What a vendor says about a clinic itself: its locations, zone, appointment types, words.

A provider returns a ``ClinicProfile``; ``credentials check`` compares it with the clinic as it is
registered. Pure. What the words mean belongs in ``words``, which of the resources are synced in
``resources``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import zone_named
from pims_pipeline.domain.records.clinic_words import OwnWords
from pims_pipeline.domain.records.resources import Resource
from pims_pipeline.domain.records.shapes import Shapes
from pims_pipeline.domain.records.word_uses import SeenWords, WordUse, word_uses
from pims_pipeline.domain.records.words import Words

_COMPARED_DAYS = 400
"""Longer than a year, so that every clock change of a zone is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place of a vendor's account that has a calendar of its own.

    Attributes:
        id: The vendor's.
        name: What the vendor calls it at present.
        timezone: The zone of its calendar, as the vendor writes it; None when it does not say.
    """

    id: str
    name: str = ""
    timezone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentType:
    """An appointment type in the vendor's own dictionary.

    Attributes:
        name: As appointments carry it.
        id: The vendor's; empty when it has none.
        is_block: Whether such a record is no appointment; None when the vendor does not say.
        is_surgery: Whether it is a surgery, whatever its name; None when the vendor does not say.
    """

    name: str
    id: str = ""
    is_block: bool | None = None
    is_surgery: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicProfile:
    """A clinic as its vendor describes it; None wherever the vendor does not say.

    Attributes:
        timezone: The zone of the clinic's calendar, as the vendor writes it.
        location_id: The location that is synced, of a vendor whose account opens several.
        locations: Every location that the clinic's credentials open.
        types: Its appointment types.
        statuses: The status words that its appointments may have.
        resources: Its rooms, columns and providers.
        shapes: What the vendor sent, by path and JSON type; no values.
    """

    timezone: str | None = None
    location_id: str | None = None
    locations: tuple[Location, ...] | None = None
    types: tuple[AppointmentType, ...] | None = None
    statuses: tuple[str, ...] | None = None
    resources: tuple[Resource, ...] | None = None
    shapes: Shapes = field(default=(), compare=False)

    @property
    def zone(self) -> str | None:
        """The zone of the clinic's calendar: its own, else that of its location."""
        if self.timezone is not None:
            return self.timezone
        locations = self.locations or ()
        own = [each for each in locations if each.id == self.location_id]
        if not own and self.location_id is None and len(locations) == 1:
            own = list(locations)
        return own[0].timezone if own else None


class ZoneMatch(StrEnum):
    """How the vendor's zone of a clinic compares with the registered one."""

    SAME = "same"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    NOT_STATED = "not_stated"


def compared_zone(stated: str | None, ours: ZoneInfo, now: datetime) -> ZoneMatch:
    """Whether clocks in the vendor's zone show the same as in ours, for more than a year.

    Args:
        stated: As the vendor writes it.
        ours: The clinic's.
        now: Aware; the comparison begins here.
    """
    if stated is None:
        return ZoneMatch.NOT_STATED
    try:
        theirs = zone_named(stated.strip())
    except ValueError:
        return ZoneMatch.UNREADABLE
    moments = [now.astimezone(UTC) + timedelta(days=day) for day in range(_COMPARED_DAYS)]
    is_same = all(
        each.astimezone(theirs).utcoffset() == each.astimezone(ours).utcoffset() for each in moments
    )
    return ZoneMatch.SAME if is_same else ZoneMatch.DIFFERENT


def guessed_words(profile: ClinicProfile, vendor: Words, own: OwnWords) -> list[WordUse]:
    """The words of the vendor's dictionary of which no list says what they mean."""
    return [each for each in word_uses(_listed(profile), vendor, own) if each.is_guess]


def _listed(profile: ClinicProfile) -> Iterator[SeenWords]:
    for each in profile.types or ():
        # Neither becomes a case by its name.
        if not (each.is_block or each.is_surgery):
            yield SeenWords(appointment_type=each.name)
    for status in profile.statuses or ():
        yield SeenWords(status=status)
