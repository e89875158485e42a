"""Whatever happens at the vendor and among people, what is not the service's stays in live."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline_tests.adoption.live.live_clinic import LiveClinic, live_clinic
from pims_pipeline_tests.adoption.planted import V4Installation, plant_clinic
from pims_pipeline_tests.sync.bench import DAY, local

_NOT_OWNED = {
    "cases": """
        SELECT id, to_jsonb(t) - ARRAY['scheduled_at', 'status', 'type', 'updated_at', 'metadata']
            || jsonb_build_object('own',
                coalesce(t.metadata, '{}')
                - ARRAY['pimsAppointment', 'pimsConsultation', 'reconciliation'])
        FROM cases AS t""",
    "patients": """
        SELECT id, to_jsonb(t)
            - ARRAY['name', 'species', 'breed', 'owner_name', 'owner_phone', 'owner_email',
                'updated_at']
        FROM patients AS t""",
}
_NUMBERS = st.integers(min_value=1, max_value=9).map(str)
_AT_THE_VENDOR = st.one_of(
    st.tuples(st.just("move"), _NUMBERS, st.integers(min_value=8, max_value=18)),
    st.tuples(st.just("delete"), _NUMBERS, st.just(0)),
    st.tuples(st.just("book"), _NUMBERS, st.integers(min_value=8, max_value=18)),
    st.tuples(st.just("pay"), _NUMBERS, st.just(0)),
    st.tuples(st.just("record"), _NUMBERS, st.just(0)),
)
_BY_PEOPLE = st.sampled_from(
    [
        "UPDATE cases SET status = 'ongoing' WHERE external_id LIKE '%%1'",
        "UPDATE cases SET metadata = metadata || '{\"entities\": [1]}'",
        "UPDATE cases SET metadata = '[]' WHERE external_id LIKE '%%6'",
        "UPDATE cases SET metadata = NULL WHERE external_id LIKE '%%7'",
        "INSERT INTO notes (case_id, body) SELECT id, 'n' FROM cases",
        "DELETE FROM patients WHERE id = (SELECT id FROM patients ORDER BY id LIMIT 1)",
        "UPDATE cases SET clinic_id = NULL WHERE external_id LIKE '%%4'",
    ]
)


def not_owned(theirs: V4Installation) -> Mapping[str, Any]:
    """All rows of theirs without what the service owned; cases and patients by id."""
    others = {name: found for name, found in theirs.checksum().items() if name not in _NOT_OWNED}
    return others | {name: dict(theirs.run(query)) for name, query in _NOT_OWNED.items()}


def happen(live: LiveClinic, event: tuple[str, str, int]) -> None:
    what, number, hour = event
    vendor = live.vendor
    if what == "book" or number not in vendor.appointments:
        vendor.book(number, local(DAY, hour or 9))
    elif what == "move":
        vendor.move(number, local(DAY, hour))
    elif what == "delete":
        vendor.delete(number)
    elif what == "pay":
        vendor.set_status(number, "Paid")
    else:
        vendor.record_appointment(number, notes=f"notes of {number}")


@pytest.fixture
def live(engine: Engine, deployed: V4Installation, wanted: AdoptionRequest) -> LiveClinic:
    plant_clinic(deployed, DAY)
    return live_clinic(engine, deployed, wanted)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_AT_THE_VENDOR, min_size=1, max_size=6), st.lists(_BY_PEOPLE, max_size=2))
def test_days_of_a_live_clinic(
    live: LiveClinic, events: Sequence[tuple[str, str, int]], edits: Sequence[str]
) -> None:
    for edit in edits:
        live.theirs.run(edit)
    for event in events:
        happen(live, event)
    before = not_owned(live.theirs)

    live.day()

    after = not_owned(live.theirs)
    for table, found in before.items():
        if table in _NOT_OWNED:
            assert {row: after[table].get(row) for row in found} == found, table
        else:
            assert after[table] == found, table
    assert live.to_write() == []
