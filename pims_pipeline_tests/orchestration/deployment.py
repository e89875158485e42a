"""A Dagster deployment over clinics with fake vendors, and short ways to use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import Engine, Row, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.orchestration.launching import JobOutcome, run_in_process
from pims_pipeline.orchestration.partitions import clinic_days
from pims_pipeline.store.database.engine import (
    transaction,
)
from pims_pipeline_tests.providers.fake import FakeVendor

ASSETS = ("appointments", "consultations", "reconciliation")
SLUGS = ("alder", "birch", "cedar")
TODAY = datetime.now(UTC).date()
START = TODAY - timedelta(days=60)
SECRET_PATIENT = "Rumpelstiltskin"
SECRET_PHONE = "555-0199"


def days(first: int, last: int) -> DateRange:
    """The window between two days counted from today."""
    return DateRange(TODAY + timedelta(days=first), TODAY + timedelta(days=last))


def keys(slugs: Sequence[str], window: DateRange) -> set[str]:
    return {f"{slug}|{day}" for slug in slugs for day in window}


@dataclass
class DagsterDeployment:
    """Clinics, their fake vendors, and the definitions and instance of Dagster over them."""

    engine: Engine
    instance: DagsterInstance
    definitions: dg.Definitions
    clinics: dict[str, Clinic]
    vendors: dict[str, FakeVendor]

    def sync(
        self, job: str, slugs: Sequence[str], window: DateRange, **options: object
    ) -> JobOutcome:
        return run_in_process(
            self.definitions,
            job,
            slugs=slugs,
            window=window,
            partition_start=START,
            instance=self.instance,
            engine=self.engine,
            **options,  # type: ignore[arg-type]  # a test's few keywords
        )

    def book(self, slug: str, window: DateRange) -> None:
        """Add an appointment at noon of each day of the window."""
        for day in window:
            appointment = datetime.combine(day, time(12))
            self.vendors[slug].book(f"{slug}-{day}", appointment)

    def materialized(self, asset: str) -> set[str]:
        return set(self._status(asset, failed=False))

    def failed(self, asset: str) -> set[str]:
        return set(self._status(asset, failed=True))

    def _status(self, asset: str, *, failed: bool) -> Sequence[str]:
        partitions = clinic_days(START)
        cache = get_and_update_asset_status_cache_value(
            self.instance, dg.AssetKey(asset), partitions
        )
        if cache is None:  # no partition was materialized or failed yet
            return []
        subset = (
            cache.deserialize_failed_partition_subsets(partitions)
            if failed
            else cache.deserialize_materialized_partition_subsets(partitions)
        )
        return list(subset.get_partition_keys())

    def metadata(self, asset: str, key: str) -> dict[str, object]:
        """Return the metadata of a partition's newest materialization."""
        found = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key]), limit=1
        )
        newest = found.records[0].asset_materialization
        assert newest is not None
        return {name: value.value for name, value in newest.metadata.items()}

    def step_failure(self, run_id: str, step: str) -> dg.DagsterEvent:
        (event,) = (
            event
            for event in self._events(run_id, dg.DagsterEventType.STEP_FAILURE)
            if event.step_key == step
        )
        return event

    def check(self, run_id: str, asset: str, name: str) -> dg.AssetCheckEvaluation:
        (evaluation,) = (
            event.asset_check_evaluation_data
            for event in self._events(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if event.asset_check_evaluation_data.asset_check_key
            == dg.AssetCheckKey(dg.AssetKey(asset), name)
        )
        return evaluation

    def _events(self, run_id: str, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        return [
            entry.dagster_event
            for entry in self.instance.all_logs(run_id, of_type=kind)
            if entry.dagster_event
        ]

    def rows(self, statement: str, **parameters: object) -> list[Row[tuple[object, ...]]]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text(statement), parameters).all())

    def run(self, statement: str, **parameters: object) -> None:
        with transaction(self.engine) as connection:
            connection.execute(text(statement), parameters)
