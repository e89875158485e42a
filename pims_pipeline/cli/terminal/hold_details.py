"""A hold and its cases, for a terminal. Its rules belong in ``domain.holds``."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.store.holds import Hold
from pims_pipeline.store.queries.case_history import CaseState
from pims_pipeline.wire.shape import utc_text


def print_hold(hold: Hold, states: Mapping[UUID, CaseState]) -> None:
    """Print the hold, and its cases as a table."""
    for line in _summary(hold):
        say(line)
    say()
    print_table(
        ["Case", "Date", "Status", "Vendor's id", "Outcome"],
        (
            (
                str(case_id),
                state.scheduled_date.isoformat() if state else "",
                _case_status(state),
                (state.pims_id if state else None) or "",
                _outcome(hold, case_id),
            )
            for case_id, state in cases_of(hold, states)
        ),
        empty="It names no case.",
    )


def _summary(hold: Hold) -> Iterator[str]:
    by = f" by {hold.decided_by}" if hold.decided_by else ""
    when = f" on {utc_text(hold.decided_at)}" if hold.decided_at else ""
    yield f"{hold.clinic_slug}, {hold.window}: {hold.status}{by}{when}"
    yield (
        f"{hold.cases_orphaned} of {hold.cases_active} active cases were to be retired "
        f"({hold.reason}); held since {utc_text(hold.created_at)}"
    )
    if hold.status is HoldStatus.APPROVED:
        yield f"{len(hold.retired)} were retired, {len(hold.kept)} kept"
    if hold.is_in_force:
        yield (
            f"The rejection is in force: {len(hold.stay)} cases stay while their appointments are "
            f"missing; `pims holds reopen {hold.id}` revokes it"
        )
    elif hold.status is HoldStatus.REJECTED:
        yield "The rejection is no longer in force for any of its cases"


def cases_of(
    hold: Hold, states: Mapping[UUID, CaseState]
) -> Iterator[tuple[UUID, CaseState | None]]:
    """The hold's cases by their current date; those that no longer exist come last."""
    yield from states.items()
    for case_id in sorted(hold.case_ids - states.keys()):
        yield case_id, None


def _case_status(state: CaseState | None) -> str:
    if state is None:
        return "gone"
    return f"{state.status}, retired" if state.soft_deleted else state.status


def _outcome(hold: Hold, case_id: UUID) -> str:
    if case_id in hold.retired:
        return "retired"
    if case_id in hold.stay:
        return "stays: its retirement was rejected"
    return f"kept: {hold.kept[case_id]}" if case_id in hold.kept else ""
