"""Runs the nightly maintenance as Dagster does."""

import dagster as dg

from pims_pipeline_tests.orchestration.deployment import DagsterDeployment


def run_maintenance(deployment: DagsterDeployment) -> dg.ExecuteInProcessResult:
    job = deployment.definitions.resolve_job_def("nightly_maintenance")
    return job.execute_in_process(instance=deployment.instance, raise_on_error=False)
