"""The page of failures, dead letters first, and an operator's retry of one."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorAction, OperatorRole
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.failures import FailureStatus
from pims_pipeline.operations.console.launching import (
    RunStarter,
    StartedSync,
    note_once,
    planned_run,
    start_planned,
)
from pims_pipeline.operations.console.rights import check_role
from pims_pipeline.operations.console.visible import visible_only
from pims_pipeline.operations.failures import made_due
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.clinics import all_clinics, clinic_by_slug
from pims_pipeline.store.database.clock import check_clock, clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import (
    ClinicFailure,
    count_failures,
    failure_by_id,
    failures_part,
)


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """A failure, and whether the operator may retry it."""

    known: ClinicFailure
    clinic: Clinic
    may_retry: bool

    @property
    def is_dead(self) -> bool:
        """Whether it is a dead letter."""
        return self.known.status is FailureStatus.DEAD


@dataclass(frozen=True, slots=True)
class FailuresPage:
    """Some failures of the operator's clinics at ``now``: dead letters first, then the latest.

    Attributes:
        total: The number of all of them.
    """

    failures: tuple[ShownFailure, ...]
    total: int
    now: datetime


def failures_page(
    view: OperatorView, slug: str | None, *, open_only: bool, skip: int = 0, limit: int
) -> FailuresPage:
    """The failures of a clinic, or of all the operator's if ``slug`` is None.

    Args:
        view: The operator's.
        slug: The clinic.
        open_only: Whether to leave resolved ones out.
        skip: How many of the first to leave out.
        limit: How many to show.

    Raises:
        NotVisible: If there is no such clinic among the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug) if slug else None
        total = count_failures(connection, clinic=clinic, open_only=open_only)
        found = failures_part(
            connection, clinic=clinic, open_only=open_only, skip=skip, limit=limit
        )
        clinics = {each.slug: each for each in all_clinics(connection)}
        now = clock_of(connection).database
    shown = (_shown(view, each, clinics[each.clinic_slug]) for each in found)
    return FailuresPage(tuple(shown), total, now)


def retry(view: OperatorView, failure_id: UUID, *, earliest: date, runs: RunStarter) -> StartedSync:
    """Make a failure due, and start its phase over its dates.

    Raises:
        NotVisible, NotAllowed: If the operator does not see the failure, or may not retry it.
        FailureResolved, NotRetryable: If it needs no retry, or its dates cannot be synced.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
        NotStarted: If Dagster did not start the run; the failure stays due.
    """
    now = check_clock(view.engine)
    with visible_only(), transaction(view.engine) as connection:
        known = failure_by_id(connection, failure_id)
        check_role(view, OperatorRole.OPERATOR, clinic_by_slug(connection, known.clinic_slug))
        before, clinic, window = made_due(connection, failure_id, earliest=earliest, now=now)
        run = planned_run(
            clinic,
            before.failure.phase.names.scope,
            window,
            OperatorAction.FAILURE_RETRIED,
            facts={"failure_id": str(failure_id)},
        )
        repeated = note_once(connection, view, run)
    return repeated or start_planned(view, run, runs)


def _shown(view: OperatorView, known: ClinicFailure, clinic: Clinic) -> ShownFailure:
    is_open = known.status is not FailureStatus.RESOLVED
    is_synced = refusal(clinic, ClinicUse.SYNC) is None
    may = is_open and is_synced and view.rights.may(OperatorRole.OPERATOR, clinic.id)
    return ShownFailure(known, clinic, may)
