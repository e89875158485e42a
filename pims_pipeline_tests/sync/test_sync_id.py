"""An audit uses the id that a client knows, once; the orchestration decides which audit."""

from uuid import UUID, uuid4

import pytest

from pims_pipeline.dagster_names import SYNC_ID_TAG, sync_id_of
from pims_pipeline.domain.phases import Phase
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import reconcile_cases
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.sync.bench import WINDOW, Bench

SYNC_ID = uuid4()


def audits(bench: Bench) -> list[tuple[object, ...]]:
    return [
        tuple(row)
        for row in bench.rows(
            "SELECT sync_type, id = :id FROM case_sync_audits ORDER BY created_at", id=SYNC_ID
        )
    ]


@pytest.mark.parametrize("phase", list(Phase))
def test_the_audit_of_any_phase_uses_the_given_id(bench: Bench, phase: Phase) -> None:
    function = {
        Phase.INBOUND: sync_appointments,
        Phase.CASES: enrich_cases,
        Phase.RECONCILIATION: reconcile_cases,
    }[phase]
    with clinic_session(bench.context, bench.clinic) as session:
        outcome = function(bench.context, bench.clinic, WINDOW, session, audit_id=SYNC_ID)

    assert outcome.audit_id == SYNC_ID
    assert audits(bench) == [(phase, True)]


def test_an_id_that_another_run_used_is_not_used_again(bench: Bench) -> None:
    for _ in range(2):
        with clinic_session(bench.context, bench.clinic) as session:
            sync_appointments(bench.context, bench.clinic, WINDOW, session, audit_id=SYNC_ID)

    assert audits(bench) == [(Phase.INBOUND, True), (Phase.INBOUND, False)]


def test_without_an_id_audits_have_random_ones(bench: Bench) -> None:
    ids = {bench.inbound().audit_id, bench.inbound().audit_id}

    assert len(ids) == 2
    assert {found for _, found in audits(bench)} == {False}


@pytest.mark.parametrize(
    ("tags", "sync_id"),
    [
        ({SYNC_ID_TAG: str(SYNC_ID)}, SYNC_ID),
        ({SYNC_ID_TAG: "typed by hand"}, None),
        ({}, None),
    ],
)
def test_a_tag_that_is_no_uuid_gives_no_id(tags: dict[str, str], sync_id: UUID | None) -> None:
    assert sync_id_of(tags) == sync_id
