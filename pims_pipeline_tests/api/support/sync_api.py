"""A client of the sync routes with its clinic and a fake Dagster, and the work of its runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import Engine, Row, text
from starlette.testclient import TestClient

from pims_pipeline.api.context import ApiContext
from pims_pipeline.dagster_names import sync_id_of
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import JOB_OF, PHASES_OF, Phase
from pims_pipeline.store.audits import fail_audit, finish_audit, record_progress, start_audit
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, FakeRun

PHASES_OF_JOB = {job: PHASES_OF[scope] for scope, job in JOB_OF.items()}


@dataclass
class SyncApi:
    """Everything a test of the sync routes needs."""

    engine: Engine
    clinic: Clinic
    context: ApiContext
    fake: FakeDagster
    api: TestClient
    key: str

    def post(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send a POST that starts a sync; without a body if it is None."""
        sent = {"X-API-Key": self.key, **(headers or {})}
        if body is None:
            return self.api.post(f"/api/sync/{path}", headers=sent)
        return self.api.post(f"/api/sync/{path}", json=body, headers=sent)

    def get(self, path: str, key: str | None = None) -> httpx2.Response:
        return self.api.get(path, headers={"X-API-Key": key or self.key})

    def status(self, sync_id: object) -> Any:
        """Return the body of the status of a sync."""
        response = self.get(f"/api/sync/{sync_id}")
        assert response.status_code == 200, response.text
        return response.json()

    def started(self, path: str = "inbound", body: object = None) -> tuple[UUID, FakeRun]:
        """Start a sync; return its id and its run."""
        response = self.post(path, body)
        assert response.status_code == 202, response.text
        sync_id = UUID(response.json()["syncId"])
        [run] = [each for each in self.fake.runs.values() if sync_id_of(each.tags) == sync_id]
        return sync_id, run

    def begin(self, run: FakeRun, phase: Phase = Phase.INBOUND) -> UUID:
        """Begin a phase of the run, as the pipeline does; return the id of its audit."""
        run.status = "STARTED"
        with transaction(self.engine) as connection:
            return start_audit(
                connection,
                clinic=self.clinic,
                sync_type=phase,
                window=self.window_of(run),
                run_id=run.id,
                owner=7,
                now=self.context.clock(),
                wanted_id=sync_id_of(run.tags),
            )

    def progress(self, audit_id: UUID, done: int, total: int) -> None:
        with transaction(self.engine) as connection:
            record_progress(connection, audit_id, done, total, self.context.clock())

    def end(self, audit_id: UUID, counts: Counts, status: AuditStatus) -> None:
        """End a phase."""
        with transaction(self.engine) as connection:
            finish_audit(
                connection,
                audit_id,
                status=status,
                counts=counts,
                fetched_at=None,
                now=self.context.clock(),
            )

    def fail(self, audit_id: UUID, message: str) -> None:
        """Fail a phase."""
        with transaction(self.engine) as connection:
            fail_audit(
                connection, audit_id, message, self.context.clock(), error_class="TransientError"
            )

    def complete(self, run: FakeRun) -> None:
        """Complete all phases of the run."""
        for phase in PHASES_OF_JOB[run.job]:
            self.end(self.begin(run, phase), Counts(), AuditStatus.COMPLETED)
        run.status = "SUCCESS"

    @staticmethod
    def sync_id_of(run: FakeRun) -> UUID | None:
        """Return the sync that the run was started for."""
        return sync_id_of(run.tags)

    @staticmethod
    def window_of(run: FakeRun) -> DateRange:
        """Return the business dates of a run, from its tags."""
        ends = ("start", "end")
        keys = [run.tags[f"dagster/asset_partition_range_{end}"] for end in ends]
        first, last = (key.partition("|")[2] for key in keys)
        return DateRange(date.fromisoformat(first), date.fromisoformat(last))

    def rows(self, statement: str, **parameters: object) -> list[Row[tuple[object, ...]]]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text(statement), parameters).all())
