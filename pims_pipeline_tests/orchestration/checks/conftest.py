"""A run whose stored data the tests tamper with."""

import pytest

from pims_pipeline_tests.orchestration.checks.findings import WINDOW, appointment
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment


@pytest.fixture
def run_id(deployment: DagsterDeployment) -> str:
    """A run that synced a few days of alder, with one consultation."""
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].record_appointment(appointment(-2))
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    return outcome.run_id
