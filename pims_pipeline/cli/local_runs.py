"""Dagster runs in this process: over the store that is open, and why one failed."""

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pims_pipeline.cli.errors import Refused
from pims_pipeline.cli.progress import progress_bar
from pims_pipeline.cli.runtime import Store, dagster_storage
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import JOB_OF, PHASES_OF, Scope
from pims_pipeline.operations.runs import RunResult, run_audits
from pims_pipeline.settings import Settings
from pims_pipeline.store.clock import check_clock
from pims_pipeline.store.database import (
    DatabaseNotMigrated,
    DatabaseRefused,
    DatabaseUnavailable,
)

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions

_EXPLAINED = frozenset(
    each.__name__ for each in (DatabaseUnavailable, DatabaseRefused, DatabaseNotMigrated)
)
"""Errors that speak for themselves, by the names that Dagster keeps of them."""
_STOPPED = "it was stopped; the next sync does what was left"


def run_locally(
    store: Store,
    scope: Scope,
    clinic: Clinic,
    window: DateRange,
    *,
    config: Mapping[str, Mapping[str, object]] | None = None,
) -> RunResult:
    """Do the run that Dagster would do, here, with a progress bar on a terminal.

    Args:
        store: Where everything is.
        scope: Which phases.
        clinic: Whose partitions; see ``operations.clinics.check_syncable``.
        window: The business dates; see ``windows.check_window``.
        config: The run's own choices, by asset.

    Raises:
        Refused: If the run was stopped before it began its work.
        WrongClock: If this host's clock and the database's are too far apart.
    """
    check_clock(store.engine)
    from dagster import DagsterExecutionInterruptedError  # noqa: PLC0415 - costs seconds

    from pims_pipeline.orchestration.instance import open_instance  # noqa: PLC0415 - as above
    from pims_pipeline.orchestration.launching import run_in_process  # noqa: PLC0415 - as above

    run_id = str(uuid.uuid4())
    windows = len(list(window.split()))
    definitions = local_definitions(store)
    with open_instance(store.settings.home, dagster_storage(store)) as instance:
        try:
            with progress_bar(PHASES_OF[scope], windows, lambda: run_audits(store.engine, run_id)):
                outcome = run_in_process(
                    definitions,
                    JOB_OF[scope],
                    slugs=[clinic.slug],
                    window=window,
                    partition_start=store.settings.partition_start,
                    instance=instance,
                    engine=store.engine,
                    run_id=run_id,
                    run_config=_run_config(store.settings, config or {}),
                )
        except DagsterExecutionInterruptedError as error:
            raise Refused(_STOPPED) from error
        problem = None if outcome.success else _problem(instance, run_id)
    return RunResult(run_id, outcome.audits, problem)


def _run_config(
    settings: Settings, config: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """Dagster's event lines are for its pages; a terminal gets them when it debugs."""
    level = "DEBUG" if settings.log_level == "DEBUG" else "CRITICAL"
    return {
        "loggers": {"console": {"config": {"log_level": level}}},
        "ops": {asset: {"config": dict(chosen)} for asset, chosen in config.items() if chosen},
    }


def _problem(instance: "DagsterInstance", run_id: str) -> str:
    """Why the run failed, where its audits do not say."""
    from dagster import (  # noqa: PLC0415 - costs seconds
        DagsterEventType,
        DagsterExecutionInterruptedError,
    )

    for end in instance.all_logs(run_id, of_type=DagsterEventType.RUN_FAILURE):
        error = end.dagster_event.job_failure_data.error if end.dagster_event else None
        if error is not None and error.cls_name == DagsterExecutionInterruptedError.__name__:
            return _STOPPED
    if (reason := _reason(instance, run_id)) is not None:
        return reason
    if checks := failed_checks(instance, run_id):
        return f"failed checks: {', '.join(checks)}; run {run_id} in Dagster's pages tells more"
    return f"run {run_id} failed; Dagster's pages (`pims up`) or LOG_LEVEL=DEBUG tell more"


def _reason(instance: "DagsterInstance", run_id: str) -> str | None:
    """What the first failed step says by itself: a phase's report, or that of our own errors.

    A phase that cannot write has no audit, and a check that cannot read has a name alone.
    """
    from dagster import DagsterEventType  # noqa: PLC0415 - costs seconds

    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
        while error is not None:
            if error.cls_name in _EXPLAINED:
                return error.message.partition(": ")[2].strip()
            error = error.cause
    return None


def local_definitions(store: Store) -> "Definitions":
    """The code location over a store that is open already."""
    from pims_pipeline.definitions import build_definitions  # noqa: PLC0415 - costs seconds

    return build_definitions(
        store.settings,
        open_store=lambda: nullcontext(store.engine),
        vault=lambda: store.vault,
    )


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
