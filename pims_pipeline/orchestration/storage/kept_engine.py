"""What the parts of Dagster's storage share: engines of ours, also in the Dagster UI."""

from typing import TYPE_CHECKING

from pims_pipeline.store.dagster.connections import KeepingTerms, keeping_engine

if TYPE_CHECKING:
    from sqlalchemy import Engine

_PARTS = 3
"""Runs, events and schedules: Dagster's own UI has a pool for each."""


class KeepsEngine:
    """A part of the storage that gets its engine from ``keeping_engine``."""

    postgres_url: str
    _engine: "Engine"

    def optimize_for_webserver(
        self, statement_timeout: int, pool_recycle: int, max_overflow: int
    ) -> None:
        """Use an engine for many threads, and for statements of so many milliseconds.

        Connections are not recycled by age: one that is dead is replaced before its use.
        """
        del pool_recycle
        terms = KeepingTerms(
            keeps=_PARTS,
            overflow=_PARTS * max_overflow,
            statement_seconds=statement_timeout / 1000,
        )
        self._engine = keeping_engine(self.postgres_url, terms)
