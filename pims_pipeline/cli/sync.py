"""``pims sync``: the same Dagster jobs, run in this process on the same instance.

What a sync is answered with stands in ``pims_pipeline.sync.results``, how its progress is
shown in ``progress``.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import click

from pims_pipeline.cli.errors import Misused, Refused, typed
from pims_pipeline.cli.local_runs import failed_checks, local_definitions
from pims_pipeline.cli.options import BusinessDate, clinic_option, examples, json_option
from pims_pipeline.cli.output import print_json, print_table
from pims_pipeline.cli.progress import progress_bar
from pims_pipeline.cli.runtime import Group, Store, dagster_storage, open_store
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.outcome import SyncType
from pims_pipeline.settings import Settings
from pims_pipeline.store.audits import Audit, audits_of_run
from pims_pipeline.store.case_stories import cases_deleted_by
from pims_pipeline.store.clinics import ScheduleConfig, clinic_by_slug, schedule_config
from pims_pipeline.store.credentials import credential_status
from pims_pipeline.store.database import transaction
from pims_pipeline.sync.results import (
    PHASES_OF,
    FullResult,
    PhaseResult,
    SyncScope,
    sync_result,
)

if TYPE_CHECKING:
    from dagster import DagsterInstance

_JOBS: Mapping[SyncScope, str] = MappingProxyType(
    {
        "inbound": "inbound_sync",
        "cases": "case_sync",
        "reconcile": "reconciliation_sync",
        "full": "full_sync",
    }
)

_STOPPED = "it was stopped; the next sync does what was left"


@click.group(cls=Group)
def sync() -> None:
    """Sync a clinic now, in this process.

    The run is the one that Dagster would do, and shows in its pages.
    """


class Request(NamedTuple):
    """What is to be synced."""

    scope: SyncScope
    slug: str
    first: date | None
    last: date | None
    as_json: bool


def default_window(
    scope: SyncScope, today: date, config: ScheduleConfig, *, earliest: date
) -> DateRange:
    """The business dates that a sync covers when none are given.

    Args:
        scope: What is synced.
        today: The clinic's.
        config: How far the clinic's syncs look back and ahead.
        earliest: The first date that can be synced.
    """
    back = max(today - timedelta(days=config.lookback_days), earliest)
    ahead = today + timedelta(days=config.days_ahead)
    match scope:
        case "inbound":
            return DateRange(today, ahead)
        case "cases":
            return DateRange(back, today)
        case "reconcile" | "full":
            return DateRange(back, ahead)


def chosen_window(
    scope: SyncScope, default: DateRange, first: date | None, last: date | None
) -> DateRange:
    """The business dates to sync, given what was typed.

    A full sync never starts later than its default, so that its reconciliation looks back.

    Raises:
        ValueError: If the range is turned round or too long.
    """
    start = first or default.start
    if scope == "full":
        start = min(start, default.start)
    end = last or default.end
    if end < start and (first is None or last is None):
        missing = "--from" if first is None else "--to"
        raise ValueError(f"the default range is {default}; give {missing} as well")
    return DateRange(start, end)


@sync.command(
    epilog=examples(
        "pims sync inbound --clinic riverbend",
        "pims sync inbound --clinic riverbend --from 2026-03-01 --to 2026-03-31 --json",
    )
)
@clinic_option
@click.option("--from", "first", type=BusinessDate(), help="First date; today unless given.")
@click.option("--to", "last", type=BusinessDate(), help="Last date; days-ahead from today.")
@json_option
@click.pass_obj
def inbound(
    settings: Settings, *, slug: str, first: date | None, last: date | None, as_json: bool
) -> None:
    """Bring the diary into appointments and cases."""
    _sync(settings, Request("inbound", slug, first, last, as_json))


@sync.command(
    epilog=examples(
        "pims sync cases --clinic riverbend",
        "pims sync cases --clinic riverbend --from 2026-03-01 --to 2026-03-31",
    )
)
@clinic_option
@click.option("--from", "first", type=BusinessDate(), help="First date; lookback-days ago.")
@click.option("--to", "last", type=BusinessDate(), help="Last date; today unless given.")
@json_option
@click.pass_obj
def cases(
    settings: Settings, *, slug: str, first: date | None, last: date | None, as_json: bool
) -> None:
    """Put the medical records of past visits on their cases."""
    _sync(settings, Request("cases", slug, first, last, as_json))


@sync.command(
    epilog=examples(
        "pims sync reconcile --clinic riverbend",
        "pims sync reconcile --clinic riverbend --from 2026-03-29 --to 2026-03-29 --json",
    )
)
@clinic_option
@click.option("--from", "first", type=BusinessDate(), help="First date; lookback-days ago.")
@click.option("--to", "last", type=BusinessDate(), help="Last date; days-ahead from today.")
@json_option
@click.pass_obj
def reconcile(
    settings: Settings, *, slug: str, first: date | None, last: date | None, as_json: bool
) -> None:
    """Retire cases whose visit is gone from the diary; nothing is physically deleted."""
    _sync(settings, Request("reconcile", slug, first, last, as_json))


@sync.command(
    epilog=examples(
        "pims sync full --clinic riverbend",
        "pims sync full --clinic riverbend --from 2026-01-01 --json",
    )
)
@clinic_option
@click.option(
    "--from", "first", type=BusinessDate(), help="First date; never later than lookback-days ago."
)
@click.option("--to", "last", type=BusinessDate(), help="Last date; days-ahead from today.")
@json_option
@click.pass_obj
def full(
    settings: Settings, *, slug: str, first: date | None, last: date | None, as_json: bool
) -> None:
    """Do all three phases over the same dates, in one run."""
    _sync(settings, Request("full", slug, first, last, as_json))


def _sync(settings: Settings, request: Request) -> None:
    with open_store(settings) as store:
        clinic, window = _prepared(store, request)
        result = _run(store, request.scope, clinic, window)
    if request.as_json:
        print_json(result)
    else:
        _print_result(request.scope, result)
    if not result["success"]:
        raise Refused(f"the sync of {clinic.slug} failed: {_why(result)}")


def _prepared(store: Store, request: Request) -> tuple[Clinic, DateRange]:
    """The clinic and the dates, once everything that can be known beforehand is in order."""
    with transaction(store.engine) as connection:
        clinic = clinic_by_slug(connection, request.slug)
        config = schedule_config(connection, clinic)
        login = credential_status(connection, clinic)
    if not clinic.is_active:
        raise Refused(f"clinic {clinic.slug!r} was deactivated; it is synced no more")
    if login is None:
        raise Refused(
            f"no login is stored for clinic {clinic.slug!r}; enter it with `pims credentials set "
            f"{clinic.slug} --company-id … --username … --password-stdin`"
        )
    today = business_date(datetime.now(UTC), clinic.zone)
    start = store.settings.partition_start
    with typed():
        default = default_window(request.scope, today, config, earliest=start)
        window = chosen_window(request.scope, default, request.first, request.last)
    _check_partitions(start, window)
    return clinic, window


def _check_partitions(start: date, window: DateRange) -> None:
    from pims_pipeline.orchestration.partitions import (  # noqa: PLC0415 - costs seconds
        OutsidePartitions,
        check_window,
    )

    try:
        check_window(start, window, datetime.now(UTC).date())
    except OutsidePartitions as error:
        raise Misused(str(error)) from error


def _run(
    store: Store, scope: SyncScope, clinic: Clinic, window: DateRange
) -> PhaseResult | FullResult:
    from dagster import DagsterExecutionInterruptedError  # noqa: PLC0415 - costs seconds

    from pims_pipeline.orchestration.instance import open_instance  # noqa: PLC0415 - as above
    from pims_pipeline.orchestration.launching import run_in_process  # noqa: PLC0415 - as above

    run_id = str(uuid.uuid4())
    windows = len(list(window.split()))
    definitions = local_definitions(store)
    with open_instance(store.settings.home, dagster_storage(store)) as instance:
        try:
            with progress_bar(PHASES_OF[scope], windows, lambda: _audits(store, run_id)):
                outcome = run_in_process(
                    definitions,
                    _JOBS[scope],
                    slugs=[clinic.slug],
                    window=window,
                    partition_start=store.settings.partition_start,
                    instance=instance,
                    engine=store.engine,
                    run_id=run_id,
                    run_config=_run_config(store.settings),
                )
        except DagsterExecutionInterruptedError as error:
            raise Refused(_STOPPED) from error
        problem = None if outcome.success else _problem(instance, run_id)
    with transaction(store.engine) as connection:
        deleted = cases_deleted_by(connection, [audit.id for audit in outcome.audits])
    return sync_result(
        scope,
        outcome.audits,
        window,
        now=datetime.now(UTC),
        deleted_cases=deleted,
        error=problem,
    )


def _audits(store: Store, run_id: str) -> Sequence[Audit]:
    with transaction(store.engine) as connection:
        return audits_of_run(connection, run_id)


def _run_config(settings: Settings) -> dict[str, object]:
    """Dagster's event lines are for its pages; a terminal gets them when it debugs."""
    level = "DEBUG" if settings.log_level == "DEBUG" else "CRITICAL"
    return {"loggers": {"console": {"config": {"log_level": level}}}}


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
    if checks := failed_checks(instance, run_id):
        return f"failed checks: {', '.join(checks)}; run {run_id} in Dagster's pages tells more"
    return f"run {run_id} failed; Dagster's pages (`pims up`) or LOG_LEVEL=DEBUG tell more"


def _why(result: PhaseResult | FullResult) -> str:
    phases = _phases(result)
    reasons = [phase["error"] for phase in phases.values() if "error" in phase]
    # Phases that did not run for want of the first one's diary have nothing to say.
    return reasons[0] if reasons else result.get("error", "")


def _phases(result: PhaseResult | FullResult) -> dict[SyncType | None, PhaseResult]:
    if "inboundResult" in result:
        return {
            SyncType.INBOUND: result["inboundResult"],
            SyncType.CASES: result["casesResult"],
            SyncType.RECONCILIATION: result["reconciliationResult"],
        }
    return {None: result}


def _print_result(scope: SyncScope, result: PhaseResult | FullResult) -> None:
    dates = result["dateRange"]
    click.echo(f"{dates['startDate']} to {dates['endDate']}")
    print_table(
        ["Phase", "Result", "What was done"],
        (
            (
                str(phase or PHASES_OF[scope][0]),
                "done" if each["success"] else "failed",
                _stats(each["stats"]),
            )
            for phase, each in _phases(result).items()
        ),
        empty="",
    )


def _stats(stats: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {_spaced(name)}" for name, number in stats.items())


def _spaced(name: str) -> str:
    """``casesCreated`` as ``created``: the phase says of what."""
    word = name.removeprefix("appointments").removeprefix("cases")
    return word.lower()
