"""Builders of cases and fetched consultations for the tests of enrichment."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pims_pipeline.domain.planning.enrichment import (
    EnrichableCase,
    EnrichmentPolicy,
    FetchedConsultation,
    FetchReason,
    due_reason,
)
from pims_pipeline.domain.records.appointments import (
    PimsAppointment,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.consultations import (
    PimsConsultation,
    consultation_payload,
)

START = datetime(2026, 3, 5, 15, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
POLICY = EnrichmentPolicy()
AGES = (1, 3, 7, 14, 30, 45)
CASE_ID = UUID(int=1)
APPOINTMENT = PimsAppointment(
    appointment_id="a",
    scheduled_start=START,
    scheduled_end=START + 30 * MINUTE,
    business_date=START.date(),
)
RECORD = PimsConsultation(appointment_id="a", consultation_id="9", notes="itchy")
LANDED = START - DAY


def case(**known: Any) -> EnrichableCase:
    return EnrichableCase(
        **{"case_id": CASE_ID, "appointment": APPOINTMENT, "landed_at": LANDED, **known}
    )


def enriched(record: PimsConsultation = RECORD, **known: Any) -> EnrichableCase:
    payload = consultation_payload(record)
    metadata = {**payload, "digest": digest(canonical_json(payload)), "fetchedAt": "then"}
    return case(**{"checked_at": START + MINUTE, "consultation": metadata, **known})


def response(
    record: PimsConsultation | None = RECORD, at: datetime = START + 2 * MINUTE
) -> FetchedConsultation:
    return FetchedConsultation(
        case_id=CASE_ID, asked_at=at, consultation=record, asked_for=APPOINTMENT
    )


def why(known: EnrichableCase, now: datetime) -> FetchReason | None:
    return due_reason(known, now, POLICY)
