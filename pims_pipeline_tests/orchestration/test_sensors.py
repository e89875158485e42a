"""The sensor that keeps partitions in step with the registered clinics."""

import dagster as dg
import pytest

from pims_pipeline.dagster_names import range_tags
from pims_pipeline.orchestration.launching import job_origin
from pims_pipeline.orchestration.partitions import (
    register_clinics,
    registered_clinics,
)
from pims_pipeline.orchestration.sensors import clinic_partitions, partition_changes
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database import DatabaseUnavailable, create_engine, transaction
from pims_pipeline_tests.orchestration.conftest import SLUGS, House, days


def look(house: House) -> dg.SensorResult | dg.SkipReason:
    """One tick, its wishes fulfilled as the daemon does."""
    context = dg.build_sensor_context(instance=house.instance, resources={"store": house.engine})
    result = clinic_partitions(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    if isinstance(result, dg.SensorResult):
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                house.instance.add_dynamic_partitions("clinics", list(request.partition_keys))
            else:
                for slug in request.partition_keys:
                    house.instance.delete_dynamic_partition("clinics", slug)
    return result


def deactivate(house: House, slug: str) -> None:
    with transaction(house.engine) as connection:
        deactivate_clinic(connection, slug)


def test_new_clinics_are_added_at_once_and_only_once(house: House) -> None:
    look(house)
    assert registered_clinics(house.instance) == list(SLUGS)
    assert isinstance(look(house), dg.SkipReason)


def test_a_deactivated_clinic_loses_its_partitions(house: House) -> None:
    look(house)
    deactivate(house, "birch")
    look(house)
    assert registered_clinics(house.instance) == ["alder", "cedar"]


def test_a_clinic_stays_while_a_run_works_on_it(house: House) -> None:
    look(house)
    deactivate(house, "birch")
    job = house.definitions.get_repository_def().get_job("full_sync")
    run = house.instance.create_run_for_job(
        job_def=job,
        tags=range_tags(("alder", "cedar"), days(0, 0)),
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=job_origin("full_sync"),
    )
    look(house)
    assert registered_clinics(house.instance) == list(SLUGS)
    house.instance.report_run_canceled(run)
    look(house)
    assert registered_clinics(house.instance) == ["alder", "cedar"]


def test_a_read_that_fails_is_not_an_empty_list(house: House) -> None:
    register_clinics(house.instance, SLUGS)
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    context = dg.build_sensor_context(instance=house.instance, resources={"store": nowhere})
    with pytest.raises(DatabaseUnavailable):
        clinic_partitions(context)
    assert registered_clinics(house.instance) == list(SLUGS)


def test_changes_are_what_differs_less_what_is_busy() -> None:
    changes = partition_changes(["a", "n"], ["a", "b", "c"], {"b"})
    assert changes.add == ["n"]
    assert changes.remove == ["c"]
