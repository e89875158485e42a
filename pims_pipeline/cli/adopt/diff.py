"""``pims adopt diff``: what differs between an adopted clinic and its v4.0 installation."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime

import click

from pims_pipeline.adoption.comparison import Comparison, compare_and_keep
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.errors import typed
from pims_pipeline.cli.terminal.options import (
    BusinessDate,
    clinic_option,
    examples,
    json_option,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.domain.adoption.differences import Difference
from pims_pipeline.domain.adoption.kinds import KINDS, DifferenceKind
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.settings import Settings
from pims_pipeline.sync.windows import chosen_window

DIFFERENT = 3
"""The exit status if there are differences that count."""
MAX_LISTED = 20
"""How many differences of a kind are listed; all are counted."""


@click.command(
    cls=Command,
    epilog=examples(
        "pims adopt diff --clinic riverbend",
        "pims adopt diff --clinic riverbend --from 2026-03-29 --to 2026-03-29 --json",
    ),
)
@clinic_option
@click.option(
    "--from",
    "first",
    type=BusinessDate(),
    show_default="lookback-days ago",
    help="First date.",
)
@click.option(
    "--to", "last", type=BusinessDate(), show_default="days-ahead from today", help="Last date."
)
@json_option("counts by kind, and each difference with ids, dates, status and type")
@click.pass_context
def diff(
    context: click.Context, *, slug: str, first: date | None, last: date | None, as_json: bool
) -> None:
    """Compare an adopted clinic with its v4.0 installation, which is only read.

    Ends with exit status 0 if both agree, and 3 if there are differences. What people set, further
    cases of an appointment, and what the next sync of either side may remove are shown, and do not
    count as differences.

    The counts are kept for `pims adopt switch`, unless the dates are fewer than the clinic's syncs
    cover.
    """
    settings: Settings = context.obj

    def choose(synced: DateRange) -> DateRange:
        with typed():
            return chosen_window("inbound", synced, first, last, names=("--from", "--to"))

    with open_store(settings) as store:
        found = compare_and_keep(store.engine, slug, datetime.now(UTC), choose)
    if as_json:
        from pims_pipeline.wire.differences import (  # noqa: PLC0415 - lines need no models
            ComparisonDocument,
        )

        print_json(ComparisonDocument.of(found))
    else:
        for line in _lines(found):
            say(line)
    context.exit(DIFFERENT if found.counts.differences else 0)


def _lines(found: Comparison) -> Iterator[str]:
    counts = found.counts
    result = f"{counts.differences} differences" if counts.differences else "no differences"
    yield (
        f"{found.clinic.slug}  {counts.window}: {counts.compared} appointments compared, {result}"
        + (f", {counts.waiting} wait for the next sync" if counts.waiting else "")
    )
    by_kind: defaultdict[DifferenceKind, list[Difference]] = defaultdict(list)
    for each in found.differences:
        by_kind[each.kind].append(each)
    for kind, facts in KINDS.items():
        if of_kind := by_kind.get(kind):
            note = "" if facts.counts else "; does not count"
            yield f"{kind}: {len(of_kind)} ({facts.meaning}{note})"
            yield from (f"  {_line(each)}" for each in of_kind[:MAX_LISTED])
            if len(of_kind) > MAX_LISTED:
                yield f"  and {len(of_kind) - MAX_LISTED} more; --json lists all"
    if not counts.is_synced_here:
        yield "Its calendar was not synced here since it was adopted: sync it, then compare."
    if not found.is_kept:
        yield "Not kept: the dates are fewer than the clinic's syncs cover."


def _line(each: Difference) -> str:
    words = [
        f"{each.day or 'without a date'}  appointment {each.appointment_id}",
        f"case {each.case_id or each.their_case_id}",
    ]
    if each.case_id and each.their_case_id and each.case_id != each.their_case_id:
        words.append(f"theirs {each.their_case_id}")
    if each.ours is not None:
        words.append(f"here {each.ours}, there {each.theirs or 'none'}")
    if each.hours is not None:
        words.append(f"{each.hours:+g} h")
    if each.zone is not None:
        words.append(f"as {each.zone} would")
    if each.is_waiting:
        words.append("waits for the next sync")
    return "  ".join(words)
