"""Dagster runs in this process: over the store that is open, and why one failed."""

from contextlib import nullcontext
from typing import TYPE_CHECKING

from pims_pipeline.cli.runtime import Store, provider_options
from pims_pipeline.domain.reconciliation import DeletionPolicy
from pims_pipeline.providers.registry import build_provider

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions


def local_definitions(store: Store) -> "Definitions":
    """The code location over a store that is open already."""
    from pims_pipeline.orchestration.location import code_location  # noqa: PLC0415 - costs seconds
    from pims_pipeline.orchestration.resources import Sources  # noqa: PLC0415 - as above

    settings, options = store.settings, provider_options(store.settings)
    sources = Sources(
        open_store=lambda: nullcontext(store.engine),
        open_vault=lambda: store.vault,
        open_provider=lambda clinic: build_provider(clinic, options),
        clinics_at_once=settings.clinics_at_once,
        deletion_policy=DeletionPolicy(
            min_orphans=settings.deletion_guard_min,
            max_percent=settings.deletion_guard_percent,
        ),
    )
    return code_location(sources, partition_start=settings.partition_start)


def failed_checks(instance: "DagsterInstance", run_id: str) -> list[str]:
    """The names of the checks that failed a run."""
    from dagster import AssetCheckSeverity, DagsterEventType  # noqa: PLC0415 - costs seconds

    found = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    return [
        evaluation.check_name
        for entry in found
        if entry.dagster_event is not None
        and not (evaluation := entry.dagster_event.asset_check_evaluation_data).passed
        and evaluation.severity is AssetCheckSeverity.ERROR
    ]
