"""Dagster runs in this process over the open store, and the reason of one that failed."""

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pims_pipeline.cli.runtime import Store, dagster_storage
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.progress import progress_bar
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import JOB_OF, PHASES_OF, Scope
from pims_pipeline.operations.runs import RunResult, run_audits
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.errors import DatabaseRefused, DatabaseUnavailable
from pims_pipeline.store.database.revision import DatabaseNotMigrated

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions

    from pims_pipeline.orchestration.launching import JobOutcome

_EXPLAINED = frozenset(
    each.__name__ for each in (DatabaseUnavailable, DatabaseRefused, DatabaseNotMigrated)
)
"""Errors whose message is shown as it is, by the class names that Dagster records."""
_STOPPED = "it was stopped; the next sync does what was left"


def run_locally(
    store: Store,
    scope: Scope,
    clinic: Clinic,
    window: DateRange,
    *,
    config: Mapping[str, Mapping[str, object]] | None = None,
) -> RunResult:
    """Execute a Dagster run in this process, with a progress bar on a terminal.

    Args:
        store: The open store.
        scope: The phases to run.
        clinic: The clinic; see ``operations.clinics.check_syncable``.
        window: The business dates; see ``windows.check_window``.
        config: The run's configuration by asset.

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
        problem = None if outcome.success else _problem(instance, outcome)
    return RunResult(run_id, outcome.audits, problem)


def _run_config(
    settings: Settings, config: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """The run configuration; Dagster's event lines are shown with LOG_LEVEL=DEBUG only."""
    level = "DEBUG" if settings.log_level == "DEBUG" else "CRITICAL"
    return {
        "loggers": {"console": {"config": {"log_level": level}}},
        "ops": {asset: {"config": dict(chosen)} for asset, chosen in config.items() if chosen},
    }


def _problem(instance: "DagsterInstance", outcome: "JobOutcome") -> str:
    """Why the run failed, for a failure that its audits do not explain."""
    from pims_pipeline.orchestration.run_events import (  # noqa: PLC0415 - costs seconds
        failed_checks,
        failure_message,
    )

    if outcome.interrupted:
        return _STOPPED
    run_id = outcome.run_id
    if (message := failure_message(instance, run_id, _EXPLAINED)) is not None:
        return message
    if checks := failed_checks(instance, run_id):
        return f"failed checks: {', '.join(checks)}; see run {run_id} in the Dagster UI"
    return f"run {run_id} failed; see it in the Dagster UI (`pims up`), or set LOG_LEVEL=DEBUG"


def local_definitions(store: Store) -> "Definitions":
    """The code location over the open store."""
    from pims_pipeline.definitions import build_definitions  # noqa: PLC0415 - costs seconds

    return build_definitions(
        store.settings,
        open_store=lambda: nullcontext(store.engine),
        vault=lambda: store.vault,
    )
