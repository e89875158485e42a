"""What all models have in common."""

from datetime import date, datetime, timedelta, timezone
from typing import get_args
from uuid import UUID

import pytest
from pydantic import ValidationError

from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.wire import cases, statuses
from pims_pipeline.wire.cases import CaseSummary
from pims_pipeline.wire.shape import utc_text

NOW = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
FACTS = {
    "id": UUID(int=1),
    "pims_id": None,
    "scheduled_date": date(2026, 3, 29),
    "scheduled_start": NOW,
    "patient_name": "Rex",
    "patient_species": None,
    "client_name": "Ann",
    "status": CaseStatus.DRAFT,
    "case_type": CaseType.FOLLOW_UP,
    "soft_deleted": False,
    "enriched": True,
    "updated_at": NOW,
}


def test_moments_are_written_in_utc_and_milliseconds() -> None:
    shown = CaseSummary.model_validate(FACTS).model_dump(mode="json")

    assert shown["updatedAt"] == shown["scheduledStart"] == utc_text(NOW)
    assert utc_text(NOW) == "2026-03-29T01:30:00.123Z"


def test_what_was_written_can_be_read() -> None:
    written = CaseSummary.model_validate(FACTS).model_dump_json()

    assert CaseSummary.model_validate_json(written).model_dump_json() == written


@pytest.mark.parametrize(
    "wrong",
    [
        {"updated_at": datetime(2026, 3, 29)},  # noqa: DTZ001 - that is what is wrong with it
        {"status": "asleep"},
        {"enriched": None},
        {"nickname": "Rexy"},
    ],
)
def test_only_declared_fields_can_be_sent(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CaseSummary.model_validate({**FACTS, **wrong})


def test_a_validation_error_quotes_no_value() -> None:
    with pytest.raises(ValidationError) as raised:
        CaseSummary.model_validate({**FACTS, "patient_name": ["Bartholomew"]})

    assert "Bartholomew" not in str(raised.value)


def test_the_closed_sets_are_the_domain_s() -> None:
    audit_statuses = statuses.LatestAudit.model_fields["status"].annotation
    schedules = statuses.PhaseStatus.model_fields["schedule"].annotation

    assert get_args(cases.Status) == tuple(CaseStatus)
    assert get_args(cases.Type) == tuple(CaseType)
    assert get_args(cases.Kind) == tuple(EventKind)
    assert audit_statuses is AuditStatus
    assert get_args(schedules) == tuple(ScheduleState)
