"""The id that a client was told belongs to the first audit of its run, and to no other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from pims_pipeline.dagster_names import SYNC_ID_TAG, sync_id_of
from pims_pipeline.sync.context import SyncIdOnce
from pims_pipeline_tests.sync.conftest import Bench

SYNC_ID = uuid4()


def asked_for(bench: Bench, run_id: str) -> Bench:
    """A run under the tag of the sync."""
    context = replace(bench.context, run_id=run_id, sync_id=SyncIdOnce(SYNC_ID))
    return replace(bench, context=context)


def audits(bench: Bench) -> list[tuple[object, ...]]:
    return [
        tuple(row)
        for row in bench.rows(
            "SELECT run_id, id = :id FROM case_sync_audits ORDER BY created_at", id=SYNC_ID
        )
    ]


def test_the_first_audit_of_the_run_takes_the_id_and_a_run_executed_again_another(
    bench: Bench,
) -> None:
    run, again = asked_for(bench, "run-1"), asked_for(bench, "run-2")
    run.inbound()
    run.reconcile()
    again.inbound()

    assert audits(bench) == [("run-1", True), ("run-1", False), ("run-2", False)]


def test_without_a_tag_ids_are_random(bench: Bench) -> None:
    bench.inbound()

    assert audits(bench) == [("run-1", False)]


def test_of_many_threads_one_is_given_the_id() -> None:
    once = SyncIdOnce(SYNC_ID)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: once.take(), range(64)))

    assert [each for each in taken if each is not None] == [SYNC_ID]


@pytest.mark.parametrize(
    ("tags", "sync_id"),
    [
        ({SYNC_ID_TAG: str(SYNC_ID)}, SYNC_ID),
        ({SYNC_ID_TAG: "typed by hand"}, None),
        ({}, None),
    ],
)
def test_a_tag_that_is_no_id_tells_none(tags: dict[str, str], sync_id: UUID | None) -> None:
    assert sync_id_of(tags) == sync_id
