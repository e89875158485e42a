"""An application with a stub of Dagster, whose results a test sets."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.api.monitoring.dagster_state import DagsterState

NOW = datetime(2026, 3, 9, 14, tzinfo=UTC)
LOOPBACK = ("127.0.0.1", 50_000)


class StubDagster(DagsterClient):
    """Returns or raises what the test sets."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.error: Exception | None = None
        self.wait: Callable[[], object] | None = None
        self.counts = DagsterState(queued=0, running=0)
        self.calls = 0

    def check(self) -> None:
        self._respond()

    def state(self) -> DagsterState:
        self._respond()
        return self.counts

    def _respond(self) -> None:
        self.calls += 1
        if self.wait is not None:
            self.wait()
        if self.error is not None:
            raise self.error


def context_of(
    engine: Engine, dagster: DagsterClient, *, metrics_token: str | None = None
) -> ApiContext:
    """Return the context of an application; its time is always ``NOW``."""
    return ApiContext(
        engine=engine,
        dagster=dagster,
        dagster_ui_url="http://127.0.0.1:3000",
        partition_start=date(2025, 1, 1),
        requests_per_minute=60,
        metrics_token=metrics_token,
        stopping=threading.Event(),
        clock=lambda: NOW,
    )


def client_of(app: FastAPI, address: tuple[str, int] = LOOPBACK) -> TestClient:
    """Return a client with that address; server errors become responses."""
    return TestClient(app, client=address, raise_server_exceptions=False)
