"""The asset that writes the application's cases of live clinics, at the end of each job."""

from collections.abc import Iterator

import pytest

from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.orchestration.assets.application_cases import APPLICATION_CASES, IDEMPOTENT
from pims_pipeline.store.adoptions import add_adoption
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import list_failures
from pims_pipeline_tests.adoption.planted import V4Installation
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days, keys

WINDOW = days(-1, 1)
STEP = APPLICATION_CASES


@pytest.fixture
def theirs(deployment: DagsterDeployment, database_url: str) -> Iterator[V4Installation]:
    """A deployed installation to which alder is live and birch in shadow; cedar is not adopted."""
    modes = {"alder": AdoptionMode.LIVE, "birch": AdoptionMode.SHADOW}
    with V4Installation(database_url, Layout.DEPLOYED) as installation:
        for slug, mode in modes.items():
            clinic_id = deployment.clinics[slug].id
            installation.insert("clinics", id=clinic_id, name=slug, slug=slug)
            with transaction(deployment.engine) as connection:
                add_adoption(
                    connection,
                    clinic_id=clinic_id,
                    layout=Layout.DEPLOYED,
                    their_schema=installation.schema,
                    their_clinic_id=clinic_id,
                    mode=mode,
                )
        yield installation
        deployment.run("DROP SCHEMA theirs CASCADE")
        deployment.run("DROP PUBLICATION supabase_realtime")


def sync(deployment: DagsterDeployment, job: str = "full_sync") -> tuple[bool, str]:
    outcome = deployment.sync(job, ["alder", "birch", "cedar"], WINDOW)
    return outcome.success, outcome.run_id


def test_a_full_sync_writes_the_live_clinic_alone(
    deployment: DagsterDeployment, theirs: V4Installation
) -> None:
    for slug in ("alder", "birch", "cedar"):
        deployment.book(slug, WINDOW)

    success, run_id = sync(deployment)

    assert success
    ours = deployment.rows(
        "SELECT id FROM cases WHERE clinic_id = :id ORDER BY id", id=deployment.clinics["alder"].id
    )
    assert theirs.run("SELECT id FROM cases ORDER BY id") == [(row.id,) for row in ours]
    assert deployment.materialized(APPLICATION_CASES) == keys(["alder"], WINDOW)
    assert deployment.check(run_id, APPLICATION_CASES, IDEMPOTENT).passed
    shown = deployment.metadata(APPLICATION_CASES, f"alder|{WINDOW.start}")
    assert shown["created"] == 1


def test_a_phase_alone_writes_too(deployment: DagsterDeployment, theirs: V4Installation) -> None:
    deployment.book("alder", WINDOW)
    assert sync(deployment, "inbound_sync")[0]
    theirs.run("UPDATE cases SET scheduled_at = scheduled_at + interval '2 hours'")

    assert sync(deployment, "case_sync")[0]

    shifted = theirs.run("SELECT id, scheduled_at FROM cases ORDER BY id")
    ours = deployment.rows("SELECT id, scheduled_start FROM cases ORDER BY id")
    assert shifted == [tuple(row) for row in ours]


def test_a_refused_write_fails_the_step_is_a_failure_and_is_resolved_by_the_next(
    deployment: DagsterDeployment, theirs: V4Installation
) -> None:
    deployment.book("alder", WINDOW)
    theirs.run("ALTER TABLE cases ADD CONSTRAINT never CHECK (source <> 'pims:idexx-neo')")

    success, run_id = sync(deployment)

    assert not success
    failure = deployment.step_failure(run_id, STEP)
    assert "theirs.cases by never" in str(failure.step_failure_data.error)
    assert theirs.run("SELECT count(*) FROM cases") == [(0,)]
    with transaction(deployment.engine) as connection:
        (listed,) = list_failures(connection)
    assert (listed.clinic_slug, listed.failure.error_class) == ("alder", "ApplicationRefused")
    assert "by never" in listed.failure.error_message
    assert deployment.materialized(APPLICATION_CASES) == set()

    theirs.run("ALTER TABLE cases DROP CONSTRAINT never")
    assert sync(deployment)[0]

    with transaction(deployment.engine) as connection:
        assert list_failures(connection) == []
    assert theirs.run("SELECT count(*) FROM cases") == [(3,)]


def test_dates_whose_appointments_failed_are_not_written(
    deployment: DagsterDeployment, theirs: V4Installation
) -> None:
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].fail_next(KeyError("x"), "listing")

    success, _ = sync(deployment)

    assert not success
    assert theirs.run("SELECT count(*) FROM cases") == [(0,)]
    assert deployment.materialized(APPLICATION_CASES) == set()
