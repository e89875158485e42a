"""Fake Dagsters whose runs end at once, each with its audits."""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine

from pims_pipeline.dagster_names import CLINIC_TAG, sync_id_of
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import fail_audit, finish_audit, start_audit
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, FakeRun
from pims_pipeline_tests.api.support.sync_api import PHASES_OF_JOB, SyncApi


class BusyDagster(FakeDagster):
    """Does the work of a run before it responds to the launch.

    Every third run completes, every third fails, every third is held.
    """

    def __init__(self, owner: Engine) -> None:
        super().__init__()
        self._owner = owner
        self._ends = itertools.cycle(
            (AuditStatus.COMPLETED, AuditStatus.FAILED, AuditStatus.HELD),
        )

    def _launch(self, asked: dict[str, Any]) -> dict[str, Any]:
        launched = super()._launch(asked)
        run, end = self.runs[launched["run"]["runId"]], next(self._ends)
        with transaction(self._owner) as connection:
            for phase in PHASES_OF_JOB[run.job]:
                self._work(connection, run, phase, end)
        run.status = "SUCCESS" if end is AuditStatus.COMPLETED else "FAILURE"
        return launched

    def _work(self, connection: Connection, run: FakeRun, phase: Phase, end: AuditStatus) -> None:
        now = datetime.now(UTC)
        audit_id = start_audit(
            connection,
            clinic=clinic_by_slug(connection, run.tags[CLINIC_TAG]),
            sync_type=phase,
            window=SyncApi.window_of(run),
            run_id=run.id,
            owner=7,
            now=now,
            wanted_id=sync_id_of(run.tags),
        )
        if end is AuditStatus.FAILED:
            fail_audit(
                connection,
                audit_id,
                "cannot reach the vendor",
                now,
                error_class="TransientError",
            )
            return
        finish_audit(
            connection,
            audit_id,
            status=end,
            counts=Counts(found=3, held=2),
            fetched_at=now,
            now=now,
        )


class PromptDagster(FakeDagster):
    """Completes each run at once.

    Args:
        owner: Connects as the owner of the tables.
        clock: Returns the present time, aware.
        counts: What each phase reports.
    """

    def __init__(
        self, owner: Engine, clock: Callable[[], datetime], counts: Mapping[Phase, Counts]
    ) -> None:
        super().__init__()
        self._owner = owner
        self._clock = clock
        self._counts = counts

    def _launch(self, asked: dict[str, Any]) -> dict[str, Any]:
        launched = super()._launch(asked)
        run, now = self.runs[launched["run"]["runId"]], self._clock()
        with transaction(self._owner) as connection:
            for phase in PHASES_OF_JOB[run.job]:
                audit_id = start_audit(
                    connection,
                    clinic=clinic_by_slug(connection, run.tags[CLINIC_TAG]),
                    sync_type=phase,
                    window=SyncApi.window_of(run),
                    run_id=run.id,
                    owner=7,
                    now=now,
                    wanted_id=sync_id_of(run.tags),
                )
                finish_audit(
                    connection,
                    audit_id,
                    status=AuditStatus.COMPLETED,
                    counts=self._counts[phase],
                    fetched_at=now,
                    now=now,
                )
        run.status = "SUCCESS"
        return launched
