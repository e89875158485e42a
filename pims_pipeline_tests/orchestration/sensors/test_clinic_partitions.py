"""The sensor ``clinic_partitions`` keeps partitions in step with the active clinics."""

import dagster as dg
import pytest

from pims_pipeline.dagster_names import range_tags
from pims_pipeline.orchestration.launching import job_origin
from pims_pipeline.orchestration.partitions import (
    register_clinics,
    registered_clinics,
)
from pims_pipeline.orchestration.sensors.clinic_partitions import (
    clinic_partitions,
    partition_changes,
)
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days


def evaluate(deployment: DagsterDeployment) -> dg.SensorResult | dg.SkipReason:
    """Evaluate the sensor once, and apply its requests as the daemon does."""
    context = dg.build_sensor_context(
        instance=deployment.instance, resources={"store": deployment.engine}
    )
    result = clinic_partitions(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    if isinstance(result, dg.SensorResult):
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                deployment.instance.add_dynamic_partitions("clinics", list(request.partition_keys))
            else:
                for slug in request.partition_keys:
                    deployment.instance.delete_dynamic_partition("clinics", slug)
    return result


def deactivate(deployment: DagsterDeployment, slug: str) -> None:
    with transaction(deployment.engine) as connection:
        deactivate_clinic(connection, slug)


def test_new_clinics_are_added_at_once_and_only_once(deployment: DagsterDeployment) -> None:
    evaluate(deployment)
    assert registered_clinics(deployment.instance) == list(SLUGS)
    assert isinstance(evaluate(deployment), dg.SkipReason)


def test_a_deactivated_clinic_loses_its_partitions(deployment: DagsterDeployment) -> None:
    evaluate(deployment)
    deactivate(deployment, "birch")
    evaluate(deployment)
    assert registered_clinics(deployment.instance) == ["alder", "cedar"]


def test_a_clinic_keeps_its_partitions_while_a_run_works_on_it(
    deployment: DagsterDeployment,
) -> None:
    evaluate(deployment)
    deactivate(deployment, "birch")
    job = deployment.definitions.get_repository_def().get_job("full_sync")
    run = deployment.instance.create_run_for_job(
        job_def=job,
        tags=range_tags(("alder", "cedar"), days(0, 0)),
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=job_origin("full_sync"),
    )
    evaluate(deployment)
    assert registered_clinics(deployment.instance) == list(SLUGS)
    deployment.instance.report_run_canceled(run)
    evaluate(deployment)
    assert registered_clinics(deployment.instance) == ["alder", "cedar"]


def test_a_read_that_fails_is_not_an_empty_list(deployment: DagsterDeployment) -> None:
    register_clinics(deployment.instance, SLUGS)
    nowhere = create_engine("postgresql://pims@127.0.0.1:1/nothing")
    context = dg.build_sensor_context(instance=deployment.instance, resources={"store": nowhere})
    with pytest.raises(DatabaseUnavailable):
        clinic_partitions(context)
    assert registered_clinics(deployment.instance) == list(SLUGS)


def test_busy_clinics_keep_their_partitions() -> None:
    changes = partition_changes(["a", "n"], ["a", "b", "c"], {"b"})
    assert changes.add == ["n"]
    assert changes.remove == ["c"]
