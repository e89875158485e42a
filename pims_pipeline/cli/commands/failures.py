"""``pims failures``: list and show failed records, and retry one now.

The phases decide when a failure is retried automatically.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import click

from pims_pipeline.cli.local_runs import run_locally
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import clinic_filter, examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import age, print_table
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.failures import (
    RetryOutcome,
    find_failure,
    find_failures,
    retry_failure,
)
from pims_pipeline.settings import Settings
from pims_pipeline.store.failures import ClinicFailure, Failure
from pims_pipeline.wire.failures import FailureDocument, FailureList, RetriedFailure
from pims_pipeline.wire.shape import utc_text

_SHORT_KEY = 24


@click.group(cls=Group)
def failures() -> None:
    """Show and retry records that could not be read or fetched.

    A consultation is fetched automatically up to eight times, at growing intervals; a record of
    the calendar is read again with every sync of its date.
    """


@failures.command(
    "list",
    epilog=examples("pims failures list", "pims failures list --clinic riverbend --all --json"),
)
@clinic_filter
@click.option("--all", "everything", is_flag=True, help="List resolved failures too.")
@json_option('`{"failures": […]}`')
@click.pass_obj
def list_open(settings: Settings, *, slug: str | None, everything: bool, as_json: bool) -> None:
    """List the open failures, latest first."""
    now = datetime.now(UTC)
    with open_store(settings) as store:
        found = find_failures(store.engine, slug, open_only=not everything)
    if as_json:
        print_json(FailureList.of(found))
        return
    print_table(
        ["Clinic", "Phase", "Record", "Date", "Error", "Tried", "Last", "Status", "Id"],
        (
            (
                each.clinic_slug,
                each.failure.phase.value,
                each.failure.record_key[:_SHORT_KEY],
                _days(each.dates),
                each.failure.error_class,
                str(each.failure.attempts),
                age(each.failure.last_failed_at, now),
                each.status,
                str(each.failure.id),
            )
            for each in found
        ),
        empty="Nothing has failed." if everything else "No failure is open.",
    )


@failures.command(epilog=examples("pims failures show 2b1c64f0-0d5e-4b55-8a43-1f2f7c7d9e10"))
@click.argument("failure_id", metavar="ID", type=click.UUID)
@json_option("the failure as `pims failures list` does")
@click.pass_obj
def show(settings: Settings, *, failure_id: UUID, as_json: bool) -> None:
    """Show a failure: the record, the error, the number of attempts and the next retry."""
    with open_store(settings) as store:
        known = find_failure(store.engine, failure_id)
    if as_json:
        print_json(FailureDocument.of(known))
        return
    for line in _lines(known):
        say(line)


@failures.command(epilog=examples("pims failures retry 2b1c64f0-0d5e-4b55-8a43-1f2f7c7d9e10"))
@click.argument("failure_id", metavar="ID", type=click.UUID)
@json_option("the failure with `outcome` (`resolved`, `failed` or `untried`), `syncId` and `runId`")
@click.pass_obj
def retry(settings: Settings, *, failure_id: UUID, as_json: bool) -> None:
    """Retry a failure now, even a dead letter.

    Its phase runs for its clinic and date, with everything else that is due there.
    """
    with open_store(settings) as store:
        done = retry_failure(
            store.engine,
            failure_id,
            earliest=settings.partition_start,
            run_phase=partial(run_locally, store),
        )
    failure = done.failure.failure
    if as_json:
        sync_id = done.run.audits[0].id if done.run.audits else None
        retried = RetriedFailure.by(
            done.failure, outcome=done.outcome, sync_id=sync_id, run_id=done.run.run_id
        )
        print_json(retried)
    elif done.outcome is RetryOutcome.RESOLVED:
        say(f"failure {failure_id} is resolved")
    if done.outcome is RetryOutcome.FAILED:
        raise Refused(f"it failed again: {failure.error_class}: {_message(failure)}")
    if done.outcome is RetryOutcome.UNTRIED:
        raise Refused(f"it was not retried: {done.why_untried}")


def _days(window: DateRange | None) -> str:
    if window is None:
        return ""
    return str(window.start) if len(window) == 1 else str(window)


def _message(failure: Failure) -> str:
    return " ".join(failure.error_message.split())


def _lines(known: ClinicFailure) -> Iterator[str]:
    failure = known.failure
    record = failure.pims_id or failure.record_key
    yield f"{known.clinic_slug}, {failure.phase}, record {record}: {known.status}"
    yield f"{failure.error_class}: {_message(failure)}"
    if known.dates:
        yield f"on {_days(known.dates)}"
    if known.case_id:
        yield f"case {known.case_id}"
    attempts = "once" if failure.attempts == 1 else f"{failure.attempts} times"
    yield (
        f"tried {attempts}, first {utc_text(failure.first_failed_at)}, "
        f"last {utc_text(failure.last_failed_at)}"
    )
    if failure.resolved_at:
        yield f"resolved {utc_text(failure.resolved_at)}"
    elif failure.next_retry_at:
        yield f"retried from {utc_text(failure.next_retry_at)} on"
    elif failure.phase is Phase.CASES:
        yield f"given up; retry it with `pims failures retry {failure.id}`"
    else:
        yield "read again with the next sync of its date"
