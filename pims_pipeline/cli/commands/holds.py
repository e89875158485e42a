"""``pims holds``: decide on deletions that the deletion guard holds back.

An approval is a reconciliation run in this process; its rules belong in ``pims_pipeline.sync``.
"""

from datetime import UTC, datetime
from uuid import UUID

import click

from pims_pipeline.cli.local_runs import run_locally
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.hold_details import cases_of, print_hold
from pims_pipeline.cli.terminal.options import (
    by_option,
    clinic_filter,
    examples,
    json_option,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import age, print_table
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.operations.holds import (
    approve_hold,
    hold_details,
    hold_overview,
    reject_hold,
    reopen_hold,
)
from pims_pipeline.operations.runs import RunResult
from pims_pipeline.settings import Settings
from pims_pipeline.store.holds import Hold
from pims_pipeline.wire.holds import ApprovedHold, HoldDocument, HoldList


@click.group(cls=Group)
def holds() -> None:
    """Decide on deletions that the deletion guard holds back.

    A window is held when too many appointments are missing from its calendar at once, or all of
    them. None of its cases is retired until a person approves the hold, or a later sync finds the
    appointments again.
    """


_hold_argument = click.argument("hold_id", metavar="ID", type=click.UUID)
_by_option = by_option("decided_by", "Who decides")


@holds.command(
    "list",
    epilog=examples("pims holds list", "pims holds list --clinic riverbend --all --json"),
)
@clinic_filter
@click.option(
    "--all", "everything", is_flag=True, help="List approved, rejected and superseded holds too."
)
@json_option('`{"holds": […], "rejectionsInForce": […]}`')
@click.pass_obj
def list_waiting(settings: Settings, *, slug: str | None, everything: bool, as_json: bool) -> None:
    """List the holds that wait for a decision, newest first.

    Below them: the rejections that still keep cases (see `pims holds reject`).
    """
    now = datetime.now(UTC)
    with open_store(settings) as store:
        found = hold_overview(store.engine, slug, waiting_only=not everything)
    if as_json:
        print_json(HoldList.of(found.holds, found.in_force))
        return
    print_table(
        ["Clinic", "Window", "Cases", "Reason", "Status", "Since", "Id"],
        (
            (
                each.clinic_slug,
                str(each.window),
                f"{each.cases_orphaned} of {each.cases_active}",
                each.reason,
                _status(each),
                age(each.created_at, now),
                str(each.id),
            )
            for each in found.holds
        ),
        empty="No deletions are held." if everything else "No deletions wait for a decision.",
    )
    for each in found.in_force:
        say(
            f"Rejected and in force: hold {each.id} of {each.clinic_slug}, {each.window}, "
            f"keeps {len(each.stay)} cases"
        )


def _status(hold: Hold) -> str:
    return f"{hold.status}, in force" if hold.is_in_force else hold.status


@holds.command(
    epilog=examples("pims holds show 6f9d1e0a-2a64-4a52-9d0a-3a4d3a2c1b10"),
)
@_hold_argument
@json_option(
    "the hold with its `cases`, each with `outcome` (`retired`, `kept` or null), `keptBecause` "
    "and `stays`"
)
@click.pass_obj
def show(settings: Settings, *, hold_id: UUID, as_json: bool) -> None:
    """Show a hold, the current status of its cases and, once approved, the outcome of each."""
    with open_store(settings) as store:
        found = hold_details(store.engine, hold_id)
    if as_json:
        print_json(HoldDocument.with_cases(found.hold, cases_of(found.hold, found.states)))
    else:
        print_hold(found.hold, found.states)


@holds.command(
    epilog=examples(
        "pims holds approve 6f9d1e0a-2a64-4a52-9d0a-3a4d3a2c1b10",
        'pims holds approve 6f9d1e0a-2a64-4a52-9d0a-3a4d3a2c1b10 --by "Sam Rivers" --json',
    ),
)
@_hold_argument
@_by_option
@json_option("the hold as `pims holds show` does, with the `syncId` and `runId` of the approval")
@click.pass_obj
def approve(settings: Settings, *, hold_id: UUID, decided_by: str, as_json: bool) -> None:
    """Retire the cases of a hold whose appointments are still missing.

    The calendar is read again first. A case whose appointment is found, on its date or another,
    is kept and reported.
    """
    choice = {"approve_hold": str(hold_id), "approved_by": decided_by}
    with open_store(settings) as store:

        def reconcile(clinic: Clinic, hold: Hold) -> RunResult:
            config = {"reconciliation": choice}
            return run_locally(store, "reconcile", clinic, hold.window, config=config)

        done = approve_hold(
            store.engine, hold_id, earliest=settings.partition_start, reconcile=reconcile
        )
    hold, states, run = done.details.hold, done.details.states, done.run
    if as_json:
        [audit] = run.audits
        cases = cases_of(hold, states)
        print_json(ApprovedHold.by(hold, cases, sync_id=audit.id, run_id=run.run_id))
    else:
        print_hold(hold, states)
    if run.problem is not None:
        raise Refused(f"the hold is approved, but its run failed: {run.problem}")


@holds.command(
    "reject",
    epilog=examples("pims holds reject 6f9d1e0a-2a64-4a52-9d0a-3a4d3a2c1b10 --by Sam"),
)
@_hold_argument
@_by_option
@json_option("the hold as `pims holds show` does")
@click.pass_obj
def reject_waiting(settings: Settings, *, hold_id: UUID, decided_by: str, as_json: bool) -> None:
    """Retire none of a hold's cases.

    The decision stays in force: the cases stay while their appointments are missing, without a
    new hold for them. A missing appointment that the hold does not name needs a new decision.
    `pims holds reopen` revokes the decision.
    """
    with open_store(settings) as store:
        done = reject_hold(store.engine, hold_id, decided_by=decided_by)
    hold = done.hold
    if as_json:
        print_json(HoldDocument.with_cases(hold, cases_of(hold, done.states)))
    else:
        say(
            f"hold {hold_id} is rejected; its {len(hold.stay)} cases of {hold.clinic_slug} stay "
            "while their appointments are missing"
        )


@holds.command(
    "reopen",
    epilog=examples("pims holds reopen 6f9d1e0a-2a64-4a52-9d0a-3a4d3a2c1b10"),
)
@_hold_argument
@json_option("the hold as `pims holds show` does")
@click.pass_obj
def reopen_rejected(settings: Settings, *, hold_id: UUID, as_json: bool) -> None:
    """Revoke a rejection: the next reconciliation decides on its cases again.

    Cases whose appointments are then missing are held again, or retired if they are few.
    """
    with open_store(settings) as store:
        done = reopen_hold(store.engine, hold_id)
    if as_json:
        print_json(HoldDocument.with_cases(done.hold, cases_of(done.hold, done.states)))
    else:
        say(f"the rejection of hold {hold_id} is no longer in force")
