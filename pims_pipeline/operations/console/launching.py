"""Starting runs for operators, and how far they are.

A decision is written to the log before its run is started, with the id by which the run is found:
after a crash in between, the log has the decision, and the page of the sync shows what became of
it. How runs are started belongs to the composition root, which passes ``RunStarter``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy import Connection

from pims_pipeline.dagster_names import (
    CONSOLE_ORIGIN,
    ORIGIN_TAG,
    PHASE_TAG,
    SYNC_ID_TAG,
    clinic_tags,
)
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.moments import age_of
from pims_pipeline.domain.phases import TYPE_OF, Phase, Scope
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_decisions
from pims_pipeline.store.operators.decisions import Decision, decisions_about
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.syncs import StoredSync

REPEAT_PAUSE = timedelta(seconds=10)
"""How long the same decision of an operator counts once: a button may be clicked twice."""

RunConfig = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int | str]]]]
"""The configuration of a run, as in the launchpad of the Dagster UI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStage:
    """How far a sync is.

    Attributes:
        status: ``queued``, ``running``, ``completed``, ``held`` or ``failed``.
        has_ended: Whether it changes no more.
        phase: The active phase, once one has begun.
        done: Of ``total`` items of that phase.
        error: Why it did not succeed.
    """

    status: str
    has_ended: bool
    phase: Phase | None = None
    done: int = 0
    total: int = 0
    error: str | None = None


class RunStarter(Protocol):
    """Starts runs and reports on them; thread-safe."""

    def launch(
        self,
        scope: Scope,
        slug: str,
        window: DateRange,
        *,
        tags: Mapping[str, str],
        config: RunConfig,
    ) -> str:
        """Start a run over a clinic's window; return its id.

        Raises:
            UserFacingError: If it was not started, or that is not known.
        """

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """The run with that ``SYNC_ID_TAG``; None if there is none, or Dagster does not respond."""

    def stage(self, sync: StoredSync, now: datetime) -> SyncStage:
        """How far a sync is, by its audits and its run."""


@dataclass(frozen=True, slots=True)
class StartedSync:
    """A sync whose run was started."""

    slug: str
    id: UUID


class NotStarted(UserFacingError):
    """The run was not started, or that is not known; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run that an operator decided to start.

    Attributes:
        action: The decision, as the log has it.
        facts: What else the log keeps of it, such as the reason.
        config: The run's configuration, by asset.
    """

    clinic: Clinic
    scope: Scope
    window: DateRange
    action: OperatorAction
    facts: Mapping[str, str]
    config: Mapping[str, Mapping[str, str]]
    sync_id: UUID


def planned_run(
    clinic: Clinic,
    scope: Scope,
    window: DateRange,
    action: OperatorAction,
    *,
    facts: Mapping[str, str],
    config: Mapping[str, Mapping[str, str]] | None = None,
) -> PlannedRun:
    """A run with a new id."""
    return PlannedRun(
        clinic=clinic,
        scope=scope,
        window=window,
        action=action,
        facts=facts,
        config=config or {},
        sync_id=uuid4(),
    )


def note_planned(connection: Connection, view: OperatorView, run: PlannedRun) -> None:
    """Write the decision to the log, before its run is started."""
    _note(connection, view, run, {})


def note_once(connection: Connection, view: OperatorView, run: PlannedRun) -> StartedSync | None:
    """Write the decision to the log, unless the operator decided the same a moment ago.

    Args:
        connection: In the transaction that writes what the decision changes.
        view: The operator's.
        run: What was decided.

    Returns:
        The sync that was started a moment ago; None if the decision was written.
    """
    # Two clicks arrive at the same time: the second one waits for the first one's row.
    lock_decisions(connection, run.clinic.id)
    same = started_lately(
        connection, run.clinic.id, run.action, about=_facts(view, run), within=REPEAT_PAUSE
    )
    if same is not None:
        return StartedSync(run.clinic.slug, UUID(same.details["sync_id"]))
    note_planned(connection, view, run)
    return None


def started_lately(
    connection: Connection,
    clinic_id: UUID,
    action: OperatorAction,
    *,
    about: Mapping[str, str],
    within: timedelta,
) -> Decision | None:
    """The last decision of that kind about the same, if its run was started a moment ago.

    None too if Dagster did not start its run: it may be tried again at once. The caller holds a
    lock, so that of two decisions at a time the second one sees the first.
    """
    same = decisions_about(connection, clinic_id, about)
    known = [each for each in same if each.action is action]
    if not known or "problem" in known[-1].details:
        return None
    # The database wrote that time.
    is_new = age_of(known[-1].occurred_at, clock_of(connection).database) < within
    return known[-1] if is_new else None


def start_planned(view: OperatorView, run: PlannedRun, runs: RunStarter) -> StartedSync:
    """Start a run whose decision was written.

    Raises:
        NotStarted: If Dagster did not start it; the log says so as well.
    """
    tags = {
        ORIGIN_TAG: CONSOLE_ORIGIN,
        SYNC_ID_TAG: str(run.sync_id),
        **clinic_tags([run.clinic.slug]),
        PHASE_TAG: TYPE_OF[run.scope],
    }
    config = {"ops": {asset: {"config": chosen} for asset, chosen in run.config.items()}}
    try:
        runs.launch(
            run.scope, run.clinic.slug, run.window, tags=tags, config=config if run.config else {}
        )
    except UserFacingError as error:
        with transaction(view.engine) as connection:
            _note(connection, view, run, {"problem": str(error)})
        raise NotStarted(str(error)) from error
    return StartedSync(run.clinic.slug, run.sync_id)


def _note(
    connection: Connection, view: OperatorView, run: PlannedRun, more: Mapping[str, str]
) -> None:
    facts = {"sync_id": str(run.sync_id), **_facts(view, run), **more}
    note_action(connection, view.actor, run.action, clinic_id=run.clinic.id, details=facts)


def _facts(view: OperatorView, run: PlannedRun) -> dict[str, str]:
    """What two clicks on the same button have in common."""
    return {
        "by": view.name,
        "scope": run.scope,
        "first": run.window.start.isoformat(),
        "last": run.window.end.isoformat(),
        **run.facts,
    }
