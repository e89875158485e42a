"""The servers that clinics share in these tests, and their clock."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Engine, event

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.liveness import Liveness
from pims_pipeline.store.secrets.vault import Vault


@dataclass
class Clock:
    """Moves by a millisecond with each reading, so that no two are equal."""

    moment: datetime = datetime(2026, 3, 8, 17, tzinfo=UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self) -> datetime:
        with self._lock:
            self.moment += timedelta(milliseconds=1)
            return self.moment

    def forward(self, by: timedelta) -> None:
        with self._lock:
            self.moment += by


Observer = psycopg.Connection[Any]


def observe(engine: Engine) -> Observer:
    """A connection to the engine's database: its rows are named tuples, its times are in UTC."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    utc = "-c TimeZone=UTC"
    return psycopg.connect(url, autocommit=True, options=utc, row_factory=namedtuple_row)


@dataclass
class SharedServers:
    """A database and a simulator, shared by clinics that are synced one after the other.

    Attributes:
        observer: Reads what was committed, for the checks after every step: without a
            transaction, because a query of theirs takes less than a transaction does.
        clock: The vendor's, and the true one.
        on_statement: Called before each statement and commit.
        ahead: How far the host that syncs is ahead of that clock.
    """

    engine: Engine
    observer: Observer
    vault: Vault
    control: SimulatorControl
    base_url: str
    clock: Clock
    liveness: Liveness
    artifacts: Path
    on_statement: Callable[[], None] | None = None
    ahead: timedelta = timedelta()

    def host_clock(self) -> datetime:
        """The time on the host that syncs."""
        return self.clock() + self.ahead

    def __post_init__(self) -> None:
        event.listen(self.engine, "before_cursor_execute", self._statement)
        event.listen(self.engine, "commit", self._statement)

    def _statement(self, *_: object) -> None:
        if self.on_statement is not None:
            self.on_statement()
