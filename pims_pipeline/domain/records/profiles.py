"""What a vendor says about a clinic itself: its locations, zone, appointment types, words.

A provider returns a ``ClinicProfile``; ``credentials check`` compares it with the clinic as it is
registered. Pure. What the words mean belongs in ``words``, which of the resources are synced in
``resources``.
"""

from dataclasses import dataclass

from pims_pipeline.domain.records.resources import Resource


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
    """

    timezone: str | None = None
    location_id: str | None = None
    locations: tuple[Location, ...] | None = None
    types: tuple[AppointmentType, ...] | None = None
    statuses: tuple[str, ...] | None = None
    resources: tuple[Resource, ...] | None = None

    @property
    def zone(self) -> str | None:
        """The zone of the clinic's calendar: its own, else that of its location."""
        if self.timezone is not None:
            return self.timezone
        of_location = (
            each.timezone for each in self.locations or () if each.id == self.location_id
        )
        return next(of_location, None)
