"""A case's story on a terminal: short, and safe to print."""

from pims_pipeline.cli.stories import LONGEST_VALUE, told_story
from pims_pipeline.sync.provenance import Provenance, ProvenanceEvent

EVENT = ProvenanceEvent(
    seq=1,
    kind="updated",
    occurredAt="2026-03-29T04:30:00.000Z",
    occurredAtLocal="2026-03-29T00:30:00.000-04:00",
    phase="inbound",
    syncId="audit-1",
    runId="run-1",
    runUrl="http://127.0.0.1:3000/runs/run-1",
    partitionKey="maple-street|2026-03-29",
    source=None,
    changes={},
    credentialAccesses=[],
)
CASE = Provenance(
    id="case-1",
    clinic="maple-street",
    timezone="America/New_York",
    providerType="idexx_neo",
    pimsId="7",
    patientName="Rex",
    patientSpecies="Canine",
    clientName="Ann",
    clientPhone=None,
    scheduledDate="2026-03-29",
    scheduledStart="2026-03-29T13:00:00.000Z",
    scheduledEnd="2026-03-29T13:15:00.000Z",
    status="draft",
    caseType="checkup",
    visibility="private",
    metadata={},
    createdAt="2026-03-29T04:30:00.000Z",
    updatedAt="2026-03-29T04:30:00.000Z",
    events=[],
)


def told(*events: ProvenanceEvent) -> str:
    return "\n".join(told_story({**CASE, "events": list(events)}))


def test_an_event_is_told_with_its_cause() -> None:
    assert told(
        {
            **EVENT,
            "changes": {"status": ["draft", "ongoing"], "case_type": [None, "surgery"]},
            "source": {
                "record": "appointment",
                "digest": "0123456789abcdef",
                "vendorUpdatedAt": None,
            },
            "credentialAccesses": [{"purpose": "login", "accessedAt": "2026-03-29T04:29:58.000Z"}],
        }
    ) == (
        """\
Rex (Canine), Ann
2026-03-29 09:00 America/New_York, checkup, draft
maple-street, idexx_neo 7, case case-1

2026-03-29 00:30:00 America/New_York (2026-03-29T04:30:00.000Z)  updated
    status: "draft" → "ongoing"
    case_type: nothing → "surgery"
  by inbound of maple-street|2026-03-29, audit audit-1
  run run-1: http://127.0.0.1:3000/runs/run-1
  from the vendor's appointment 0123456789ab, time of its last change unknown
  secrets decrypted by this run: for login at 2026-03-29T04:29:58.000Z"""
    )


def test_a_case_without_events_says_so() -> None:
    assert "Nothing is recorded of it" in told()


def test_a_retired_case_is_marked() -> None:
    retired = {"reconciliation": {"softDeleted": True, "reason": "deleted_by_vendor"}}
    lines = list(told_story({**CASE, "status": "reviewed", "metadata": retired}))
    assert lines[1].endswith("reviewed, retired (deleted_by_vendor)")


def test_the_vendors_text_does_not_steer_the_terminal() -> None:
    wicked = "\x1b[2J\x9b31m\u202egone"
    lines = list(
        told_story(
            {
                **CASE,
                "patientName": wicked,
                "clientName": wicked,
                "events": [{**EVENT, "changes": {"notes": [wicked, wicked]}}],
            }
        )
    )
    assert [line for line in lines if not line.isprintable()] == []


def test_a_long_value_is_shortened_and_its_length_told() -> None:
    text = told({**EVENT, "changes": {"consultation.notes": [None, "x" * 5000]}})
    assert "… (5002 characters)" in text
    assert max(map(len, text.splitlines())) < LONGEST_VALUE + 80
