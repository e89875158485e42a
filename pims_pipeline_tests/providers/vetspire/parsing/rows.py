"""Builders of the vendor's rows. All records are made up."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.vetspire.parsing.listing import ReadingRules, ReadRows, read_rows
from pims_pipeline.providers.vetspire.parsing.types import parse_types

CHICAGO = ZoneInfo("America/Chicago")
DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY, DAY)
FETCHED_AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
TYPES = parse_types(
    {
        "appointmentTypes": [
            {"id": "1", "name": "Wellness", "isBlockoff": False, "isSurgery": False},
            {"id": "2", "name": "Dental", "isBlockoff": False, "isSurgery": True},
            {"id": "3", "name": "Lunch", "isBlockoff": True, "isSurgery": False},
            {"id": "4", "name": "Odd", "isBlockoff": "perhaps", "isSurgery": "perhaps"},
        ]
    }
)
RULES = ReadingRules(location_id="7", zone=CHICAGO, types=TYPES)
SOUND = {
    "id": "100",
    "start": "2026-03-04T09:00:00-06:00",
    "duration": 30,
    "status": "PLANNED",
    "deleted": False,
    "location": {"id": "7"},
}


def row(**fields: object) -> dict[str, object]:
    return {**SOUND, **fields}


def read(*rows: object, rules: ReadingRules = RULES, window: DateRange = WINDOW) -> ReadRows:
    return read_rows(rows, rules, window=window, fetched_at=FETCHED_AT)


def only(**fields: object) -> PimsAppointment:
    """The appointment that a row with these fields becomes."""
    found = read(row(**fields)).records
    assert found.quarantined == ()
    (appointment,) = found.appointments
    return appointment


def identities(appointments: Sequence[PimsAppointment]) -> list[str]:
    return [each.appointment_id for each in appointments]
