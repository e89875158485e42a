"""What Dagster recorded of a run: whether it was interrupted, and why it failed.

For the command line, which runs jobs in its own process. The API asks the webserver the same
over GraphQL, and imports no Dagster: see ``pims_pipeline.api.dagster_client``.
"""

from collections.abc import Collection

import dagster as dg
from dagster import DagsterInstance


def is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether the event is the end of a run that Ctrl-C or SIGTERM stopped."""
    if event.event_type is not dg.DagsterEventType.RUN_FAILURE:
        return False
    error = event.job_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def failed_checks(instance: DagsterInstance, run_id: str) -> list[str]:
    """The names of the checks that failed a run."""
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
    """What the first failed step says by itself: a phase's report, or one of our own errors.

    A phase that cannot write has no audit, and a check that cannot read has a name alone.

    Args:
        instance: Where the run is recorded.
        run_id: The run.
        explained: The names of the classes of errors whose messages may be shown.
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
