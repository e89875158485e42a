"""Runs that an operator waits for: how one ended, and what it did.

How a run is started is the caller's: a function given to those services that need one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.store.audits import Audit, audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.case_history import cases_deleted_by


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    Attributes:
        audits: What it did, in the order it began to.
        problem: Why it failed, where its audits do not say; None when it succeeded.
    """

    run_id: str
    audits: Sequence[Audit]
    problem: str | None


def run_audits(engine: Engine, run_id: str) -> Sequence[Audit]:
    """What a run has done so far, in the order it began to."""
    with transaction(engine) as connection:
        return audits_of_run(connection, run_id)


def cases_deleted(engine: Engine, audits: Sequence[Audit]) -> list[UUID]:
    """The cases that these audits' phases soft-deleted, in the order it was done."""
    with transaction(engine) as connection:
        return cases_deleted_by(connection, [audit.id for audit in audits])
