"""Engines of tests: one for each address, so that tests compile each statement once.

A test's database is used again by later tests of its process, and so is the engine: SQLAlchemy
keeps the compiled statements and what it asked the server with the engine.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from pims_pipeline.store.database.engine import create_engine


class Engines:
    """Engines by address and size of their pool; no connection outlives its block."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Engine] = {}

    @contextmanager
    def lent(self, url: str, *, pool_size: int = 10) -> Iterator[Engine]:
        """An engine for the length of the block; listeners that the block adds end with it."""
        key = (url, pool_size)
        if key not in self._kept:
            self._kept[key] = create_engine(url, pool_size=pool_size)
        engine = self._kept[key]
        try:
            yield engine.execution_options()
        finally:
            engine.dispose()
