"""Reads a run's events: whether it was interrupted, and why it failed.

For the CLI, which runs jobs in its own process. The API imports no Dagster; it reads the same from
the webserver over GraphQL (``pims_pipeline.api.dagster_client``).
"""

from collections.abc import Collection

import dagster as dg
from dagster import DagsterInstance


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether the event ends a run that Ctrl-C or SIGTERM stopped."""
    if event.event_type is not dg.DagsterEventType.RUN_FAILURE:
        return False
    error = event.job_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def failed_checks(instance: DagsterInstance, run_id: str) -> list[str]:
    """Return the names of the checks that failed the run."""
    found = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [
        evaluation.check_name
        for entry in found
        if entry.dagster_event is not None
        and not (evaluation := entry.dagster_event.asset_check_evaluation_data).passed
        and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]


def failure_message(
    instance: DagsterInstance, run_id: str, explained: Collection[str]
) -> str | None:
    """Return the message of the first failed step that has one, or None.

    That is a phase's report, or an error that may be shown. Needed where nothing else explains the
    failure: a phase that cannot write leaves no audit, and a check that cannot read only its name.

    Args:
        instance: Where the run is recorded.
        run_id: The run.
        explained: The class names of errors whose messages may be shown.
    """
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
        while error is not None:
            if error.cls_name in explained:
                return error.message.partition(": ")[2].strip()
            error = error.cause
    return None
