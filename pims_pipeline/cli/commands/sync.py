"""``pims sync``: run a Dagster job for one clinic, in this process on the same instance.

The result of a sync belongs in ``pims_pipeline.sync.results``, its progress bar in
``terminal.progress``.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import NamedTuple

import click

from pims_pipeline.cli.local_runs import run_locally
from pims_pipeline.cli.runtime import Group, Store, open_store
from pims_pipeline.cli.terminal.errors import Misused, Refused, typed
from pims_pipeline.cli.terminal.options import (
    BusinessDate,
    Function,
    clinic_option,
    examples,
    json_option,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table, words_of
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.phases import PHASES, PHASES_OF, Phase, Scope
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.operations.clinics import syncable_clinic
from pims_pipeline.operations.runs import cases_deleted
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.sync.results import PhaseResult, SyncResult, sync_result
from pims_pipeline.sync.windows import check_window, chosen_window, default_window
from pims_pipeline.wire.results import any_result, phase_result

_ALL_PERCENT = 100


def _percent(context: click.Context, option: click.Parameter, value: float | None) -> float | None:  # noqa: ARG001 - click's signature
    # click.FloatRange accepts nan.
    if value is not None and not (math.isfinite(value) and 0 <= value <= _ALL_PERCENT):
        raise Misused("--max-percent is a share of the window's cases: a number from 0 to 100")
    return value


def limit_options(command: Function) -> Function:
    """The options that set the deletion guard's thresholds for one run."""
    percent: Callable[[Function], Function] = click.option(
        "--max-percent",
        type=float,
        callback=_percent,
        metavar="P",
        show_default="`PIMS_DELETION_GUARD_PERCENT`",
        help="The share of a window's active cases, 0 to 100, that may be retired beyond "
        "--max-orphans.",
    )
    orphans: Callable[[Function], Function] = click.option(
        "--max-orphans",
        type=click.IntRange(min=0),
        metavar="N",
        show_default="`PIMS_DELETION_GUARD_MIN`",
        help="The number of a window's cases that may always be retired.",
    )
    return orphans(percent(command))


def _limits(max_orphans: int | None, max_percent: float | None) -> dict[str, object]:
    chosen = {"deletion_guard_min": max_orphans, "deletion_guard_percent": max_percent}
    return {name: value for name, value in chosen.items() if value is not None}


@click.group(cls=Group)
def sync() -> None:
    """Sync a clinic now, in this process.

    The run is the one that Dagster's schedules would start, and appears in the Dagster UI.
    """


class Request(NamedTuple):
    """The arguments of a ``pims sync`` command."""

    scope: Scope
    slug: str
    first: date | None
    last: date | None
    as_json: bool
    limits: Mapping[str, object] = MappingProxyType({})


_FULL_SUMMARY = "Run all three phases over the same dates, in one run."
_EXAMPLES: Mapping[Scope, tuple[str, ...]] = {
    "inbound": ("--from 2026-03-01 --to 2026-03-31 --json",),
    "cases": ("--from 2026-03-01 --to 2026-03-31",),
    "reconcile": (
        "--from 2026-03-29 --to 2026-03-29 --json",
        "--max-orphans 2 --max-percent 10",
    ),
    "full": ("--from 2026-01-01 --json",),
}
"""Options for further examples of each command."""


def _first_date_default(scope: Scope) -> str:
    """The default of ``--from``, for its help; see ``sync.windows``."""
    if scope == "cases":
        at_least = EnrichmentPolicy().days_back
        return f"lookback-days ago, or {at_least} days ago if that is earlier"
    looks_back = any(phase.names.looks_back for phase in PHASES_OF[scope])
    return "lookback-days ago" if looks_back else "today"


def _first_date_help(scope: Scope) -> str:
    return "First date, not later than lookback-days ago." if scope == "full" else "First date."


def _last_date_default(scope: Scope) -> str:
    """The default of ``--to``, for its help."""
    looks_ahead = any(phase.names.looks_ahead for phase in PHASES_OF[scope])
    return "days-ahead from today" if looks_ahead else "today"


def _add_command(scope: Scope, summary: str) -> None:
    """Add ``pims sync SCOPE``."""
    shortest = f"pims sync {scope} --clinic riverbend"
    more = (f"{shortest} {options}" for options in _EXAMPLES.get(scope, ()))

    @sync.command(scope, help=summary, epilog=examples(shortest, *more))
    @clinic_option
    @click.option(
        "--from",
        "first",
        type=BusinessDate(),
        show_default=_first_date_default(scope),
        help=_first_date_help(scope),
    )
    @click.option(
        "--to",
        "last",
        type=BusinessDate(),
        show_default=_last_date_default(scope),
        help="Last date.",
    )
    @_options_of(scope)
    @json_option("the API's result object")
    @click.pass_obj
    def command(
        settings: Settings,
        *,
        slug: str,
        first: date | None,
        last: date | None,
        as_json: bool,
        max_orphans: int | None = None,
        max_percent: float | None = None,
    ) -> None:
        limits = _limits(max_orphans, max_percent)
        _sync(settings, Request(scope, slug, first, last, as_json, limits))


def _options_of(scope: Scope) -> Callable[[Function], Function]:
    """The options that only some phases have."""
    return limit_options if Phase.RECONCILIATION in PHASES_OF[scope] else lambda command: command


for _names in PHASES.values():
    _add_command(_names.scope, _names.summary)
_add_command("full", _FULL_SUMMARY)


def _sync(settings: Settings, request: Request) -> None:
    with open_store(settings) as store:
        clinic, window = _prepared(store, request)
        result = _run(store, request, clinic, window)
    if request.as_json:
        print_json(any_result(result))
    else:
        _print_result(result)
    if not result.success:
        raise Refused(f"the sync of {clinic.slug} failed: {result.reason}")


def _prepared(store: Store, request: Request) -> tuple[Clinic, DateRange]:
    """The clinic and the window, checked before anything starts."""
    now = check_clock(store.engine)
    known = syncable_clinic(store.engine, request.slug)
    clinic = known.clinic
    today = business_date(now, clinic.zone)
    start = store.settings.partition_start
    with typed():
        default = default_window(request.scope, today, known.config, earliest=start)
        window = chosen_window(
            request.scope, default, request.first, request.last, names=("--from", "--to")
        )
        check_window(start, window, now.date())
    return clinic, window


def _run(store: Store, request: Request, clinic: Clinic, window: DateRange) -> SyncResult:
    run = run_locally(
        store,
        request.scope,
        clinic,
        window,
        config={Phase.RECONCILIATION.names.asset: request.limits} if request.limits else None,
    )
    return sync_result(
        request.scope,
        run.audits,
        window,
        now=datetime.now(UTC),
        deleted_cases=cases_deleted(store.engine, run.audits),
        error=run.problem,
    )


def _print_result(result: SyncResult) -> None:
    say(f"{result.window.start} to {result.window.end}")
    print_table(
        ["Phase", "Result", "What was done"],
        ((str(each.phase), _outcome(each), _stats(each)) for each in result.phases),
        empty="",
    )


def _outcome(result: PhaseResult) -> str:
    if result.success:
        return "done"
    return "not run" if result.sync_id is None else "failed"


def _stats(result: PhaseResult) -> str:
    stats = phase_result(result).stats
    return ", ".join(f"{number} {_short(name)}" for name, number in stats)


def _short(name: str) -> str:
    """``cases_created`` as ``created``: the phase beside it names the noun."""
    return words_of(name.removeprefix("appointments_").removeprefix("cases_"))
