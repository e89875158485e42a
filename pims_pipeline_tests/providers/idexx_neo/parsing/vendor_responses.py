"""Builders of the vendor's responses. All records are made up."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY, DAY)
FETCHED_AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def record(**fields: Json) -> dict[str, Json]:
    return {
        "id": 7,
        "start": "2026-03-04 09:00:00",
        "end": "2026-03-04 09:30:00",
        "current_status": "Confirmed",
        "is_block": False,
        "is_roster": 0,
        **fields,
    }


def listing(*records: Json, window: DateRange = WINDOW, zone: ZoneInfo = NEW_YORK) -> Snapshot:
    return parse_listing(json.dumps(list(records)), window=window, zone=zone, fetched_at=FETCHED_AT)


def only(*records: Json, window: DateRange = WINDOW) -> PimsAppointment:
    snapshot = listing(*records, window=window)
    assert snapshot.quarantined == ()
    (appointment,) = snapshot.appointments
    return appointment


NO_IDENTITY: list[Json] = [None, 0, 0.0, "0", "", " \t", " 0 ", False, [], {}]


def lookup_body(**fields: Json) -> str:
    appointment = {
        "id": "7",
        "status": "not arrived",
        "startAtLocal": "2026-03-04 09:00:00",
        "endAtLocal": "2026-03-04 09:30:00",
        "deleted": False,
        "block": False,
        **fields,
    }
    return json.dumps({"appointment": appointment})


APPOINTMENT = PimsAppointment(
    appointment_id="7",
    consultation_id="55",
    scheduled_start=datetime(2026, 3, 4, 14, tzinfo=UTC),
    scheduled_end=datetime(2026, 3, 4, 14, 30, tzinfo=UTC),
    business_date=DAY,
)


def consultation(
    consultation_fields: dict[str, Json] | None = None, **parts: Json
) -> PimsConsultation:
    body: dict[str, Json] = {
        "consultation": {"id": 55, "status": "Finalized", **(consultation_fields or {})},
        **parts,
    }
    found = parse_consultation(json.dumps(body), appointment=APPOINTMENT)
    assert found is not None
    return found
