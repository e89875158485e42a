"""A cache of Dagster's run states, shared by all threads of an application."""

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

UNREACHABLE_PAUSE_SECONDS = 5
"""How long Dagster is not queried after a failed request."""
_MOST_REMEMBERED = 10_000

Fact = TypeVar("Fact")


class _Memory(Generic[Fact]):
    """The newest facts about runs, by run id."""

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


class RunCache:
    """Final states of runs, cached. Returns nothing while Dagster cannot be reached.

    Args:
        dagster: The client.
        clock: Monotonic seconds.
    """

    def __init__(self, dagster: DagsterClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._dagster = dagster
        self._clock = clock
        self._ends: _Memory[RunState] = _Memory()
        self._failed_steps: _Memory[list[str]] = _Memory()
        self._paused_until = 0.0

    def states(self, run_ids: Collection[str]) -> dict[str, RunState]:
        """Return the states of these runs, by id; without those that could not be read."""
        known = {run_id: state for run_id in run_ids if (state := self._ends.get(run_id))}
        unknown = [run_id for run_id in dict.fromkeys(run_ids) if run_id not in known]
        if not unknown:
            return known
        found = self._query(lambda: self._dagster.run_states(unknown)) or {}
        for run_id, state in found.items():
            if state.is_final:
                self._ends.keep(run_id, state)
        return known | found

    def failed_steps(self, run_id: str) -> list[str]:
        """Return the failed steps of an ended run; empty if Dagster cannot be reached."""
        steps = self._failed_steps.get(run_id)
        if steps is None:
            steps = self._query(lambda: self._dagster.failed_steps(run_id))
            if steps is None:
                return []
            self._failed_steps.keep(run_id, steps)
        return steps

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """Return the run of the sync; None if there is none or Dagster cannot be reached."""
        return self._query(lambda: self._dagster.run_of_sync(sync_id))

    def _query(self, query: Callable[[], Fact]) -> Fact | None:
        if self._clock() < self._paused_until:
            return None
        try:
            return query()
        except (DagsterUnreachable, DagsterRefused):
            self._paused_until = self._clock() + UNREACHABLE_PAUSE_SECONDS
            return None
