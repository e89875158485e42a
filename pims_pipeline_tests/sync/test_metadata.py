"""Every phase and reader accepts any JSON that the application writes to ``cases.metadata``."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.case_history import case_history
from pims_pipeline.store.queries.cases import list_cases, with_implausible_vitals
from pims_pipeline.sync.phases.verification import damaged_cases, mixed_up_cases, replan_inbound
from pims_pipeline.sync.provenance import provenance_of
from pims_pipeline.wire.cases import Provenance
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local

ROWS = 30
HUGE = "1" + "0" * 6000
DEEP = "[" * 900 + "]" * 900
NOTES = "S: itchy\nP: rest"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5)
    | st.sampled_from(["appointment", "consultation", "reconciliation", "true"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "type",
                    "softDeleted",
                    "digest",
                    "patient",
                    "id",
                    "vitals",
                    "implausible",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
metadatas = st.one_of(
    json_values,
    st.dictionaries(
        st.sampled_from(["appointment", "consultation", "reconciliation", "mine"]), json_values
    ),
)
EXAMPLES = (
    "null",
    '"x"',
    "[]",
    '["consultation", "reconciliation"]',
    "7",
    "{}",
    '{"appointment": "text"}',
    '{"appointment": {"status": 5}}',
    '{"appointment": null}',
    '{"appointment": {"status": "not ours"}}',
    '{"appointment": {"status": "not ours", "type": null, "room": "2", "digest": "d"}}',
    '{"consultation": []}',
    '{"consultation": null}',
    '{"consultation": {"digest": "d", "patient": 5}}',
    '{"consultation": {"digest": "d"}}',
    '{"consultation": {"digest": "d", "consultationId": "k", "patient": {"id": 5, "name": []}}}',
    '{"consultation": {"digest": "d", "vitals": {"implausible": 5}}}',
    '{"reconciliation": null}',
    '{"reconciliation": "x"}',
    '{"reconciliation": {"softDeleted": "true"}}',
    f'{{"appointment": {{"status": {HUGE}}}}}',
    f'{{"consultation": {{"digest": "d", "notes": {HUGE}}}}}',
    f'{{"mine": {HUGE}}}',
    HUGE,
    DEEP,
    f'{{"consultation": {DEEP}, "mine": {DEEP}}}',
    f'{{"appointment": {{"status": "Finalized", "x": {DEEP}}}}}',
)


def _enriched(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.vendor.book(str(number), local(DAY, 8) + timedelta(minutes=number))
        bench.vendor.record_appointment(str(number), notes=NOTES)
    bench.inbound()
    bench.enrich()


def _scribble(bench: Bench, documents: Sequence[str]) -> None:
    bench.run(
        "UPDATE cases SET metadata = CAST(found.document AS jsonb) "
        "FROM unnest(CAST(:documents AS text[])) WITH ORDINALITY AS found(document, number) "
        "WHERE pims_id = (found.number - 1)::text",
        documents=list(documents),
    )


def _all_readers(bench: Bench) -> None:
    """Call everything that reads metadata, except the phases."""
    damaged_cases(bench.engine, bench.clinic, WINDOW, None)
    mixed_up_cases(bench.engine, bench.clinic, WINDOW)
    replan_inbound(bench.engine, bench.clinic, WINDOW)
    with transaction(bench.engine) as connection:
        with_implausible_vitals(connection, bench.clinic, WINDOW)
        for case in list_cases(connection, bench.clinic):
            provenance = provenance_of(case_history(connection, case.id), dagster_ui_url="http://x")
            assert json.loads(Provenance.of(provenance).model_dump_json())["id"] == str(case.id)


_OWN = """
    SELECT pims_id, CASE jsonb_typeof(metadata) WHEN 'object' THEN
        CAST(metadata - ARRAY['appointment', 'consultation', 'reconciliation'] AS text)
        ELSE '{}' END AS own
    FROM cases ORDER BY id
"""
"""The application's own keys."""


_CASES = "SELECT id, updated_at, CAST(metadata AS text) FROM cases ORDER BY id"
_OURS = """
    SELECT pims_id, jsonb_typeof(metadata) AS kind,
           metadata #>> '{appointment,status}' AS status,
           metadata #>> '{consultation,notes}' AS notes,
           jsonb_typeof(metadata -> 'reconciliation') AS mark
    FROM cases
"""


def _sync_over(bench: Bench, documents: Sequence[str]) -> None:
    """Run all phases and readers over it: our keys are repaired, the others are kept."""
    _scribble(bench, documents)
    own = bench.rows(_OWN)
    _all_readers(bench)
    bench.clock.forward(hours=1)
    assert bench.inbound().counts.found == len(documents)
    bench.enrich()
    bench.reconcile()
    bench.clock.forward(hours=1)
    bench.enrich()
    after = {row.pims_id: row for row in bench.rows(_OURS)}
    for number, document in enumerate(documents):
        case = after[str(number)]
        assert case.kind == "object", document
        assert case.status == "Finalized", document
        assert isinstance(case.notes, str), document
        assert case.mark in {None, "null", "object"}, document
    assert bench.rows(_OWN) == own
    assert damaged_cases(bench.engine, bench.clinic, WINDOW, None) == []
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    settled = bench.rows(_CASES)
    bench.inbound()
    assert bench.rows(_CASES) == settled


def _text(value: Any) -> str:
    return json.dumps(value)


def test_every_phase_and_reader_accepts_the_examples(bench: Bench) -> None:
    _enriched(bench, len(EXAMPLES))
    _sync_over(bench, EXAMPLES)


@settings(
    max_examples=4,
    # Each example is a sync of many cases: too slow to shrink.
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents=st.lists(metadatas.map(_text), min_size=ROWS, max_size=ROWS))
def test_every_phase_and_reader_accepts_any_json(bench: Bench, documents: list[str]) -> None:
    if not bench.vendor.appointments:
        _enriched(bench, ROWS)
    _sync_over(bench, documents)


@pytest.mark.parametrize("phase", ["inbound", "enrich", "reconcile"])
def test_one_damaged_case_stops_no_other_in_any_phase(bench: Bench, phase: str) -> None:
    _enriched(bench, 3)
    bench.vendor.book("other", local(DAY, 11))
    bench.inbound()
    _scribble(bench, ["null", '"x"', f"[{HUGE}]"])
    bench.clock.forward(days=1)
    bench.vendor.delete("0")
    bench.vendor.delete("other")
    again = bench.in_run("run-2")
    outcome = getattr(again, phase)()
    assert outcome.counts.errored == 0
    if phase == "reconcile":
        assert bench.case("0").gone == bench.case("other").gone == "true"
        (event,) = bench.rows(
            "SELECT changes FROM case_events JOIN cases ON cases.id = case_id "
            "WHERE kind = 'soft_deleted' AND pims_id = '0'"
        )
        assert event.changes["metadata"] == [None, {}]


def test_an_enrichment_whose_fetches_all_fail_repairs_no_case(bench: Bench) -> None:
    _enriched(bench, 3)
    _scribble(bench, ["null", '"x"', "[]"])
    before = bench.rows(_CASES)
    bench.clock.forward(hours=1)
    bench.vendor.fail_next(TransientError("down"), "consultation", times=9)
    with pytest.raises(TransientError):
        bench.enrich()
    assert bench.rows(_CASES) == before


def test_what_a_repair_replaces_is_kept_in_the_case_history(bench: Bench) -> None:
    _enriched(bench, 2)
    _scribble(bench, ['["urgent", 3]', '{"appointment": "text", "mine": {"a": 1}}'])
    assert bench.inbound().counts == Counts(found=2, updated=2)
    changes = [
        row.changes for row in bench.rows("SELECT changes FROM case_events ORDER BY seq")[-2:]
    ]
    assert [each.get("metadata") for each in changes] == [[["urgent", 3], {}], None]
    assert changes[1]["metadata.appointment"] == ["text", {}]
    assert bench.case("1").metadata["mine"] == {"a": 1}
    bench.clock.forward(hours=1)
    bench.enrich()
    assert bench.case("0").metadata["consultation"]["notes"] == NOTES


def test_what_the_application_overwrote_is_no_finding(bench: Bench) -> None:
    _enriched(bench, 4)
    _scribble(bench, ["null", '"x"', '{"appointment": "text"}', '{"consultation": []}'])
    assert len(damaged_cases(bench.engine, bench.clinic, WINDOW, None)) == 4
    # A finding would make the later phases of a run skip the whole date.
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    bench.run("UPDATE cases SET scheduled_start = scheduled_start - interval '1 day'")
    bench.run("DELETE FROM cases WHERE pims_id = '0'")
    again = replan_inbound(bench.engine, bench.clinic, WINDOW)
    assert [write.pims_id for write in again.case_writes] == ["0"]


def test_the_vendors_text_may_hold_any_number_of_brackets(bench: Bench) -> None:
    booked = bench.vendor.book("1", local(DAY, 8), status="Finalized")
    bench.vendor.put(replace(booked, reason='\\"[{' * 80))
    bench.inbound()
    assert damaged_cases(bench.engine, bench.clinic, WINDOW, None) == []
    bench.vendor.put(replace(booked, reason="x"))
    bench.inbound()
    (found,) = bench.rows("SELECT changes FROM case_events WHERE kind = 'updated'")
    assert list(found.changes) == ["appointment.reason"]
