"""What Dagster says of runs, remembered once it is final; and not asked for while it is silent.

One of these serves a whole application, from many threads.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Generic, TypeVar
from uuid import UUID

from pims_pipeline.api.dagster_client import (
    DagsterClient,
    DagsterRefused,
    DagsterUnreachable,
    RunState,
)

SILENCE_SECONDS = 5
"""After Dagster did not answer, it is left alone for so long."""
_MOST_REMEMBERED = 10_000

Fact = TypeVar("Fact")


class _Memory(Generic[Fact]):
    """What was learned of runs most lately."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, Fact] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run_id: str) -> Fact | None:
        with self._lock:
            return self._facts.get(run_id)

    def keep(self, run_id: str, fact: Fact) -> None:
        with self._lock:
            self._facts[run_id] = fact
            if len(self._facts) > _MOST_REMEMBERED:
                self._facts.popitem(last=False)


class RunWatch:
    """Dagster's word on runs, for those who can do without it.

    Args:
        dagster: Asked.
        clock: Seconds that only go forward.
    """

    def __init__(self, dagster: DagsterClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._dagster = dagster
        self._clock = clock
        self._ends: _Memory[RunState] = _Memory()
        self._failed_steps: _Memory[list[str]] = _Memory()
        self._silent_until = 0.0

    def states(self, run_ids: Collection[str]) -> dict[str, RunState]:
        """How these runs stand, by id; nothing of those that Dagster could not be asked about."""
        known = {run_id: state for run_id in run_ids if (state := self._ends.get(run_id))}
        unknown = [run_id for run_id in dict.fromkeys(run_ids) if run_id not in known]
        if not unknown:
            return known
        told = self._asked(lambda: self._dagster.run_states(unknown)) or {}
        for run_id, state in told.items():
            if state.is_final:
                self._ends.keep(run_id, state)
        return known | told

    def failed_steps(self, run_id: str) -> list[str]:
        """The steps that a run which has ended failed at; empty also when they are not told."""
        steps = self._failed_steps.get(run_id)
        if steps is None:
            steps = self._asked(lambda: self._dagster.failed_steps(run_id))
            if steps is None:
                return []
            self._failed_steps.keep(run_id, steps)
        return steps

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """The run that was started for the sync; None also when that is not told."""
        return self._asked(lambda: self._dagster.run_of_sync(sync_id))

    def _asked(self, question: Callable[[], Fact]) -> Fact | None:
        if self._clock() < self._silent_until:
            return None
        try:
            return question()
        except (DagsterUnreachable, DagsterRefused):
            self._silent_until = self._clock() + SILENCE_SECONDS
            return None
