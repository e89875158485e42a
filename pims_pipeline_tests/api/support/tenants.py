"""Clinics with syncs of every kind, cases and keys of every kind, and an API that serves them.

For tests that look at the API from outside. What a clinic's rows say tells them from any other
clinic's: its traces, of which no answer to somebody else may show one.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from sqlalchemy import Connection, Engine, insert, update

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.dagster_names import CLINIC_TAG, SYNC_ID_TAG, sync_id_of
from pims_pipeline.domain import api_keys
from pims_pipeline.domain.api_keys import PERMISSIONS, hash_of, new_key
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import JOB_OF, Phase, Scope
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.audits import fail_audit, finish_audit, record_progress, start_audit
from pims_pipeline.store.clinics import add_clinic, clinic_by_slug
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.requests import (
    IdempotencyKey,
    SyncRequest,
    record_launch,
    record_request,
)
from pims_pipeline.store.tables import case_sync_audits, clinic_api_keys, clinics, metadata
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, FakeRun
from pims_pipeline_tests.api.support.sync_api import PHASES_OF_JOB, SyncApi
from pims_pipeline_tests.conftest import database_copied_from

MAPLE, OAK, PINE = "maple-street", "oak-lane", "pine-hill"
"""Pine Hill is deactivated."""
PAGES = "https://dagster.example"

ACTIVE, DISABLED, EXPIRED = "active", "disabled", "expired"

_AGO = timedelta(hours=3)
_CHECKSUM = 6
"""Characters at the end of a key."""


def lacking(permission: str) -> str:
    """The name of a clinic's key that permits everything else."""
    return f"lacking {permission}"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A clinic.

    Attributes:
        syncs: By how they stand, or where they come from.
        keys: Their texts, by what is to be said of them.
        traces: Strings that stand in its rows, and in no other clinic's.
        secrets: Strings of its rows that stand in no answer at all.
    """

    clinic: Clinic
    syncs: Mapping[str, UUID]
    case_id: UUID
    keys: Mapping[str, str]
    traces: frozenset[str]
    secrets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Town:
    """Clinics and the API that serves them.

    Attributes:
        owner: Connects as the owner of the tables.
        app: Works as the API's role.
        dagster: Knows the clinics' runs.
    """

    owner: Engine
    app: FastAPI
    dagster: FakeDagster
    tenants: Mapping[str, Tenant]

    @property
    def secrets(self) -> frozenset[str]:
        """What no answer may show: secrets, and where the API's surroundings are."""
        url = self.owner.url
        places = (url.host, url.query.get("host"), url.database, self.dagster.url)
        secrets = (each.secrets for each in self.tenants.values())
        return frozenset().union(*secrets, (str(place) for place in places if place))


class BusyDagster(FakeDagster):
    """Has done a run's work by the time it answers that it started it.

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
                "the vendor does not answer",
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


@contextmanager
def town(server_url: str, *, is_busy: bool = False) -> Iterator[Town]:
    """Maple Street, Oak Lane and Pine Hill, over a database of their own.

    Args:
        server_url: The test run's server.
        is_busy: Whether runs are done, and not only started.
    """
    with (
        database_copied_from("pims", server_url) as url,
        _engine_on(url) as owner,
        _engine_on(let_api_log_in(owner)) as api,
        BusyDagster(owner) if is_busy else FakeDagster() as dagster,
        closing(DagsterClient(dagster.url)) as client,
    ):
        with transaction(owner) as connection:
            tenants = {slug: _settle(connection, dagster, slug) for slug in (MAPLE, OAK, PINE)}
            closed = update(clinics).where(clinics.c.slug == PINE)
            connection.execute(closed.values(is_active=False))
        context = ApiContext(
            engine=api,
            dagster=client,
            dagster_ui_url=PAGES,
            partition_start=date(2025, 1, 1),
            requests_per_minute=1_000_000,
        )
        yield Town(owner, create_app(context), dagster, tenants)


@contextmanager
def _engine_on(url: str) -> Iterator[Engine]:
    """An engine for as long as the block runs."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def _settle(connection: Connection, dagster: FakeDagster, slug: str) -> Tenant:
    name = slug.replace("-", "")
    clinic = add_clinic(
        connection,
        slug=slug,
        name=f"{name} veterinary",
        timezone="America/New_York",
        provider_type="idexx_neo",
        provider_base_url=f"https://{name}.example",
    )
    keys, key_ids = _add_keys(connection, clinic)
    past = _Past(connection, dagster, clinic, key_ids[ACTIVE])
    past.add_syncs()
    past.add_case()
    past.add_rows_the_api_does_not_tell()
    return Tenant(
        clinic=clinic,
        syncs=past.syncs,
        case_id=past.case_id,
        keys=keys,
        traces=frozenset({slug, name, *map(str, (clinic.id, *key_ids.values(), *past.ids))}),
        secrets=frozenset(
            {f"sealed{name}", *keys.values(), *(hash_of(key) for key in keys.values())}
        ),
    )


def _add_keys(connection: Connection, clinic: Clinic) -> tuple[dict[str, str], dict[str, UUID]]:
    """Their texts and their ids, by what is to be said of them."""
    permitted: dict[str, tuple[str, ...]] = dict.fromkeys((ACTIVE, DISABLED, EXPIRED), ())
    for wanted in PERMISSIONS:
        permitted[lacking(wanted)] = tuple(each for each in PERMISSIONS if each != wanted)
    made = {
        name: create_api_key(
            connection,
            clinic,
            name=f"{clinic.slug}: {name}",
            permissions=permissions,
            expires_at=datetime.now(UTC) - _AGO if name == EXPIRED else None,
        )
        for name, permissions in permitted.items()
    }
    disable = update(clinic_api_keys).where(clinic_api_keys.c.id == made[DISABLED].id)
    connection.execute(disable.values(is_active=False))
    return (
        {name: key.text for name, key in made.items()},
        {name: key.id for name, key in made.items()},
    )


class _Past:
    """What a clinic has done so far."""

    def __init__(
        self, connection: Connection, dagster: FakeDagster, clinic: Clinic, key_id: UUID
    ) -> None:
        self._connection = connection
        self._dagster = dagster
        self._clinic = clinic
        self._name = clinic.slug.replace("-", "")
        self._key_id = key_id
        self._began = datetime.now(UTC) - _AGO
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
        """One of every scope, status and origin."""
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
        for phase, status in (audits or {}).items():
            self._audit(phase, status, UUID(run.id), first)
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
                    .values(error_message=f"{self._name}: the vendor does not answer")
                )
        return audit_id

    def add_case(self) -> None:
        """One to which everything happened that can."""
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
        for kind in EventKind:
            self._add(
                "case_events",
                case_id=self.case_id,
                audit_id=audit_id,
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

    def add_rows_the_api_does_not_tell(self) -> None:
        """In each of the other tables."""
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


def forged(key: str) -> str:
    """A well-formed key with that one's prefix and another secret."""
    checked = f"{key.partition('_')[0]}_{new_key().partition('_')[2]}"[:-_CHECKSUM]
    return checked + api_keys._checksum(checked)
