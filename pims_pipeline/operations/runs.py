"""The result of a run that an operator waits for.

Launching a run belongs to the caller, which passes a function to the operations that need one.
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
        audits: Its audits, in the order of their start.
        problem: Why it failed, if its audits do not show it; None when it succeeded.
    """

    run_id: str
    audits: Sequence[Audit]
    problem: str | None


def run_audits(engine: Engine, run_id: str) -> Sequence[Audit]:
    """The audits of a run so far, in the order of their start."""
    with transaction(engine) as connection:
        return audits_of_run(connection, run_id)


def cases_deleted(engine: Engine, audits: Sequence[Audit]) -> list[UUID]:
    """The cases that the phases of these audits soft-deleted, in that order."""
    with transaction(engine) as connection:
        return cases_deleted_by(connection, [audit.id for audit in audits])
