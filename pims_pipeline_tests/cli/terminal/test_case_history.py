"""A case history on a terminal: short, and safe to print."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from pims_pipeline.cli.terminal.case_history import LONGEST_VALUE, history_lines
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.queries.case_history import CaseHistory, CredentialUse, StoredEvent
from pims_pipeline.sync.provenance import provenance_of

EVENT = StoredEvent(
    seq=1,
    kind=EventKind.UPDATED,
    occurred_at=datetime(2026, 3, 29, 4, 30, tzinfo=UTC),
    partition_key="maple-street|2026-03-29",
    run_id="run-1",
    audit_id=UUID(int=1),
    phase=Phase.INBOUND,
    source_digest=None,
    vendor_updated_at=None,
    changes={},
)
CASE = CaseHistory(
    id=UUID(int=2),
    clinic="maple-street",
    timezone="America/New_York",
    provider_type="idexx_neo",
    pims_id="7",
    patient_name="Rex",
    patient_species="Canine",
    client_name="Ann",
    client_phone=None,
    scheduled_date=date(2026, 3, 29),
    scheduled_start=datetime(2026, 3, 29, 13, tzinfo=UTC),
    scheduled_end=datetime(2026, 3, 29, 13, 15, tzinfo=UTC),
    status=CaseStatus.DRAFT,
    case_type=CaseType.CHECKUP,
    visibility="private",
    metadata={},
    created_at=datetime(2026, 3, 29, 4, 30, tzinfo=UTC),
    updated_at=datetime(2026, 3, 29, 4, 30, tzinfo=UTC),
    events=(),
)
LOGIN = CredentialUse(
    run_id="run-1", purpose="login", accessed_at=datetime(2026, 3, 29, 4, 29, 58, tzinfo=UTC)
)


def lines_of(case: CaseHistory) -> list[str]:
    return list(history_lines(provenance_of(case, dagster_ui_url="http://127.0.0.1:3000")))


def shown(changes: Mapping[str, Any]) -> str:
    return "\n".join(lines_of(replace(CASE, events=(replace(EVENT, changes=changes),))))


def test_an_event_is_shown_with_its_cause() -> None:
    event = replace(
        EVENT,
        changes={"status": ["draft", "ongoing"], "case_type": [None, "surgery"]},
        source_digest="0123456789abcdef",
    )
    assert "\n".join(lines_of(replace(CASE, events=(event,), accesses=(LOGIN,)))) == (
        """\
Rex (Canine), Ann
2026-03-29 09:00 America/New_York, checkup, draft
maple-street, idexx_neo 7, case 00000000-0000-0000-0000-000000000002

2026-03-29 00:30:00 America/New_York (2026-03-29T04:30:00.000Z)  updated
    status: "draft" → "ongoing"
    case_type: nothing → "surgery"
  by inbound of maple-street|2026-03-29, audit 00000000-0000-0000-0000-000000000001
  run run-1: http://127.0.0.1:3000/runs/run-1
  from the vendor's appointment 0123456789ab, time of its last change unknown
  secrets decrypted by this run: for login at 2026-03-29T04:29:58.000Z"""
    )


def test_a_case_without_events_has_a_line_that_says_why() -> None:
    assert any("It has no recorded history" in line for line in lines_of(CASE))


def test_a_retired_case_is_marked() -> None:
    retired = {"reconciliation": {"softDeleted": True, "reason": "deleted_by_vendor"}}
    lines = lines_of(replace(CASE, status=CaseStatus.REVIEWED, metadata=retired))
    assert lines[1].endswith("reviewed, retired (deleted_by_vendor)")


def test_the_vendors_text_does_not_steer_the_terminal() -> None:
    wicked = "\x1b[2J\x9b31m\u202egone"
    event = replace(EVENT, changes={"notes": [wicked, wicked]})
    lines = lines_of(replace(CASE, patient_name=wicked, client_name=wicked, events=(event,)))
    assert [line for line in lines if not line.isprintable()] == []


def test_a_long_value_is_shortened_and_its_length_shown() -> None:
    text = shown({"consultation.notes": [None, "x" * 5000]})
    assert "… (5002 characters)" in text
    assert max(map(len, text.splitlines())) < LONGEST_VALUE + 80
