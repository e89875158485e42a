"""The sync id that the API returned belongs to the run's first audit, and to no other."""

from uuid import UUID, uuid4

import pytest

from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.domain.phases import Phase
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days

SYNC_ID = uuid4()
TAGS = {SYNC_ID_TAG: str(SYNC_ID)}


def holders(deployment: DagsterDeployment) -> list[tuple[object, ...]]:
    """Clinic, phase and first date of the audits that have the id."""
    found = deployment.rows(
        "SELECT slug, sync_type, window_start FROM case_sync_audits "
        "JOIN clinics ON clinics.id = clinic_id WHERE case_sync_audits.id = :id",
        id=SYNC_ID,
    )
    return [tuple(row) for row in found]


@pytest.mark.parametrize(
    ("job", "phase"),
    [
        ("full_sync", Phase.INBOUND),
        ("inbound_sync", Phase.INBOUND),
        ("case_sync", Phase.CASES),
        ("reconciliation_sync", Phase.RECONCILIATION),
    ],
)
def test_the_first_window_of_the_first_phase_takes_the_id(
    deployment: DagsterDeployment, job: str, phase: Phase
) -> None:
    window = days(-39, 0)
    outcome = deployment.sync(job, ["birch"], window, tags=TAGS)

    assert outcome.success
    assert len(outcome.audits) > 1
    assert outcome.audits[0].id == SYNC_ID
    assert holders(deployment) == [("birch", phase, window.start)]


def test_of_clinics_side_by_side_the_first_one_takes_the_id(deployment: DagsterDeployment) -> None:
    outcome = deployment.sync("inbound_sync", SLUGS, days(0, 0), tags=TAGS)

    assert len(outcome.audits) == len(SLUGS)
    assert holders(deployment) == [(SLUGS[0], Phase.INBOUND, days(0, 0).start)]


def test_a_run_executed_again_under_the_same_tags_has_ids_of_its_own(
    deployment: DagsterDeployment,
) -> None:
    first = deployment.sync("inbound_sync", ["birch"], days(0, 0), tags=TAGS)
    again = deployment.sync("inbound_sync", ["birch"], days(0, 0), tags=TAGS)

    assert [audit.id for audit in first.audits] == [SYNC_ID]
    assert again.success
    assert {SYNC_ID, UUID(int=0)}.isdisjoint(audit.id for audit in again.audits)
