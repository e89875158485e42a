"""What a vendor says about a clinic: its zone, locations, types, rooms and statuses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicProfile:
    """A vendor's own description of a clinic.

    Attributes:
        zone: The IANA name of its time zone; None if the vendor names none.
        locations: The names of the locations that the credentials open, by identity.
        types: The appointment types.
        rooms: The rooms or columns of its calendar.
        statuses: The words for an appointment's status.
    """

    zone: str | None = None
    locations: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
