"""Writes rows of every kind for a clinic: syncs, a case with its events, secrets, alerts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, update

from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import JOB_OF, Phase, Scope
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.audits import finish_audit, record_progress, start_audit
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.requests import (
    IdempotencyKey,
    SyncRequest,
    record_launch,
    record_request,
)
from pims_pipeline.store.tables.all import metadata
from pims_pipeline.store.tables.syncs import case_sync_audits
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, FakeRun

AGE = timedelta(hours=3)
"""The age of all rows."""


class ClinicHistory:
    """Adds rows of the past to a clinic."""

    def __init__(
        self, connection: Connection, dagster: FakeDagster, clinic: Clinic, key_id: UUID
    ) -> None:
        self._connection = connection
        self._dagster = dagster
        self._clinic = clinic
        self._name = clinic.slug.replace("-", "")
        self._key_id = key_id
        self._began = datetime.now(UTC) - AGE
        self._today = DateRange(self._began.date(), self._began.date())
        self.ids: list[UUID] = []
        self.syncs: dict[str, UUID] = {}
        self.case_id = self._id()

    def _id(self) -> UUID:
        self.ids.append(uuid4())
        return self.ids[-1]

    def _add(self, table: str, **row: object) -> None:
        table_ = metadata.tables[table]
        self._connection.execute(insert(table_).values(clinic_id=self._clinic.id, **row))

    def add_syncs(self) -> None:
        """Add syncs of every scope, status and origin."""
        completed, failed = AuditStatus.COMPLETED, AuditStatus.FAILED
        self._ask("launching", "inbound")
        self._run("queued", "inbound", "QUEUED")
        self._run("canceled", "cases", "CANCELED")
        self._run("broken", "reconcile", "FAILURE")
        self._run("running", "inbound", "STARTED", {Phase.INBOUND: AuditStatus.IN_PROGRESS})
        self._run("done", "inbound", "SUCCESS", {Phase.INBOUND: completed})
        self._run("failed", "cases", "FAILURE", {Phase.CASES: failed})
        self._run("held", "reconcile", "FAILURE", {Phase.RECONCILIATION: AuditStatus.HELD})
        self._run("all done", "full", "SUCCESS", dict.fromkeys(Phase, completed))
        halves = {Phase.INBOUND: completed, Phase.CASES: failed}
        self._run("half done", "full", "FAILURE", halves)
        for status in (completed, AuditStatus.HELD, AuditStatus.INTERRUPTED):
            name = f"scheduled, {status}"
            self.syncs[name] = self._audit(Phase.RECONCILIATION, status, self._id())

    def _ask(self, name: str, scope: Scope) -> SyncRequest:
        request = SyncRequest(
            id=self._id(),
            clinic_id=self._clinic.id,
            api_key_id=self._key_id,
            scope=scope,
            window=self._today,
            created_at=self._began,
        )
        record_request(self._connection, request, IdempotencyKey(name, "0" * 64))
        self.syncs[name] = request.id
        return request

    def _run(
        self,
        name: str,
        scope: Scope,
        status: str,
        audits: Mapping[Phase, AuditStatus] | None = None,
    ) -> None:
        request = self._ask(name, scope)
        run = FakeRun(JOB_OF[scope], {SYNC_ID_TAG: str(request.id)}, {}, str(self._id()), status)
        if status == "FAILURE":
            run.failed_steps = ("appointments",)
        self._dagster.runs[run.id] = run
        record_launch(self._connection, request.id, run.id, self._began)
        first: UUID | None = request.id
        for phase, audit_status in (audits or {}).items():
            self._audit(phase, audit_status, UUID(run.id), first)
            first = None

    def _audit(
        self, phase: Phase, status: AuditStatus, run_id: UUID, wanted: UUID | None = None
    ) -> UUID:
        audit_id = start_audit(
            self._connection,
            clinic=self._clinic,
            sync_type=phase,
            window=self._today,
            run_id=str(run_id),
            owner=7,
            now=self._began,
            wanted_id=wanted or self._id(),
        )
        moved = self._began + timedelta(seconds=9)
        record_progress(self._connection, audit_id, 1, 2, moved)
        if status is not AuditStatus.IN_PROGRESS:
            is_good = status is AuditStatus.COMPLETED
            finish_audit(
                self._connection,
                audit_id,
                status=status,
                counts=Counts(found=2, deleted=1, held=1),
                fetched_at=self._began,
                now=moved,
            )
            if not is_good:
                self._connection.execute(
                    update(case_sync_audits)
                    .where(case_sync_audits.c.id == audit_id)
                    .values(error_message=f"{self._name}: cannot reach the vendor")
                )
        return audit_id

    def add_case(self) -> None:
        """Add a case with an event of every kind."""
        name, appointment = self._name, {"provider_type": "idexx_neo", "pims_id": f"{self._name}1"}
        day, audit_id = self._today.start, self.syncs["done"]
        self._add(
            "cases",
            id=self.case_id,
            **appointment,
            patient_name=f"{name} patient",
            patient_species=f"{name} species",
            client_name=f"{name} client",
            client_phone=f"{name} phone",
            scheduled_date=day,
            scheduled_start=self._began,
            scheduled_end=self._began,
            metadata={"appointment": {"reason": f"{name} reason"}},
        )
        self._add(
            "pims_appointments",
            **appointment,
            business_date=day,
            scheduled_start=self._began,
            payload={"note": f"{name} note", "vendorUpdatedAt": self._began.isoformat()},
            digest="d" * 64,
            fetched_at=self._began,
            first_seen_at=self._began,
            last_seen_at=self._began,
            audit_id=audit_id,
        )
        lock_clinic(self._connection, self._clinic.id)
        for kind in EventKind:
            self._add(
                "case_events",
                case_id=self.case_id,
                audit_id=None if kind is EventKind.ADOPTED else audit_id,
                run_id=f"{name} run",
                partition_key=f"{self._clinic.slug}|{day}",
                kind=kind,
                changes={"status": [None, "draft"], "note": [f"{name} note", None]},
                source_digest=None if kind is EventKind.SOFT_DELETED else "d" * 64,
                occurred_at=self._began,
            )
        self._add(
            "credential_access_log",
            provider_type="idexx_neo",
            purpose=f"{name} sync",
            run_id=f"{name} run",
        )

    def add_hidden_rows(self) -> None:
        """Add a row to each table that the API does not show."""
        name, day = self._name, self._today.start
        window = {"window_start": day, "window_end": day}
        sealed = {
            "provider_type": "idexx_neo",
            "encrypted_data": f"sealed{name}".encode(),
            "key_id": name,
        }
        self._add("pims_credentials", **sealed)
        self._add("pims_sessions", **sealed, expires_at=self._began)
        self._add(
            "sync_failures",
            provider_type="idexx_neo",
            phase="inbound",
            record_key=name,
            error_class="ContractViolation",
            error_message=f"{name}: unreadable",
            first_failed_at=self._began,
            last_failed_at=self._began,
        )
        self._add("reconciliation_holds", id=self._id(), **window, reason=name, plan={"of": name})
        self._add("alerts", id=self._id(), kind="hold", subject=name, opened_at=self._began)
        self._add("schedule_skips", sync_type="cases", skipped=1, last_skipped_at=self._began)
