"""Many clinics on few connections: a small pool, or a pooler with few connections for all.

Every login waits until all clinics' logins have begun: a login that held a connection would block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import address_of, create_engine, transaction
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.revision import check_migrated
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import audited
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.store.database.revisions import REVISIONS
from pims_pipeline_tests.sync.bench import DAY, NOW, WINDOW, Bench, Clock, local

CLINICS = 8
SECONDS = 120
OFTEN = LeaseTerms(lasts=60, renewed_every=0.05)


class Clinics:
    """Some clinics, each with a vendor of its own, whose logins wait for one another."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self.engine = engine
        self.vault = vault
        self.vendors: dict[str, FakeVendor] = {}
        self.clinics: list[Clinic] = []
        self._together = Barrier(CLINICS)
        with transaction(engine) as connection:
            for number in range(CLINICS):
                clinic = add_clinic(
                    connection,
                    slug=f"clinic-{number}",
                    name="Maple Street Veterinary",
                    timezone="America/New_York",
                    provider_type="idexx_neo",
                    provider_base_url="https://pims.example",
                )
                vendor = FakeVendor(clinic.zone, clock=Clock(NOW))
                vendor.book("1", local(DAY, 8))
                vendor.record_appointment("1")
                vendor.on_request = self._wait_for_all
                put_credentials(connection, vault, clinic, vendor.credentials.to_mapping())
                self.clinics.append(clinic)
                self.vendors[clinic.slug] = vendor

    def _wait_for_all(self, endpoint: str) -> None:
        if endpoint == "login":
            self._together.wait(timeout=SECONDS)

    def sync(self, engine: Engine, liveness: Liveness, clinic: Clinic) -> None:
        clock = Clock(NOW)
        context = SyncContext(
            engine=engine,
            vault=self.vault,
            open_provider=lambda each: FakeProvider(self.vendors[each.slug]),
            run_id=f"run-{liveness.owner}",
            liveness=liveness,
            clock=clock,
        )
        bench = Bench(engine, clinic, self.vendors[clinic.slug], clock, context)
        bench.inbound()
        bench.enrich()
        bench.reconcile()

    def statuses(self) -> Mapping[str, Sequence[str]]:
        """The statuses of each clinic's audits, in the order of the phases."""
        with transaction(self.engine) as connection:
            rows = connection.execute(
                text(
                    "SELECT slug, sync_type, status FROM case_sync_audits AS a "
                    "JOIN clinics AS c ON c.id = a.clinic_id ORDER BY slug, a.created_at"
                )
            ).all()
        ends: dict[str, list[str]] = {clinic.slug: [] for clinic in self.clinics}
        for row in rows:
            ends[row.slug].append(f"{row.sync_type} {row.status}")
        return ends

    def all_completed(self) -> Mapping[str, Sequence[str]]:
        done = [f"{phase} {AuditStatus.COMPLETED}" for phase in Phase]
        return {clinic.slug: done for clinic in self.clinics}


@pytest.fixture
def eight_clinics(engine: Engine, vault: Vault) -> Clinics:
    return Clinics(engine, vault)


Sync = Callable[[Clinic], None]


@contextmanager
def _one_run(url: str, eight_clinics: Clinics, pool_size: int) -> Iterator[list[Sync]]:
    """Every clinic in one run, of one process."""
    with ExitStack() as stack:
        engine = create_engine(url, pool_size=pool_size)
        stack.callback(engine.dispose)
        liveness = stack.enter_context(run_liveness(engine, OFTEN))
        yield [partial(eight_clinics.sync, engine, liveness)] * CLINICS


@contextmanager
def _own_runs(url: str, eight_clinics: Clinics, pool_size: int) -> Iterator[list[Sync]]:
    """Each clinic in a run of its own, as in processes of their own."""
    with ExitStack() as stack:
        syncs: list[Sync] = []
        for _ in range(CLINICS):
            engine = create_engine(url, pool_size=pool_size)
            stack.callback(engine.dispose)
            liveness = stack.enter_context(run_liveness(engine, OFTEN))
            syncs.append(partial(eight_clinics.sync, engine, liveness))
        yield syncs


def _all_at_once(syncs: Sequence[Sync], clinics: Sequence[Clinic]) -> None:
    with ThreadPoolExecutor(CLINICS) as threads:
        pairs = zip(syncs, clinics, strict=True)
        futures = [threads.submit(sync, clinic) for sync, clinic in pairs]
        for future in futures:
            future.result(timeout=SECONDS)


@pytest.mark.parametrize("pool_size", [1, 2])
def test_one_run_logs_in_and_syncs_any_number_of_clinics_with_a_pool_of(
    eight_clinics: Clinics, database_url: str, pool_size: int
) -> None:
    with _one_run(database_url, eight_clinics, pool_size) as syncs:
        _all_at_once(syncs, eight_clinics.clinics)
    assert eight_clinics.statuses() == eight_clinics.all_completed()


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("runs", [_one_run, _own_runs], ids=["one run", "eight runs"])
def test_clinics_log_in_and_sync_at_once_through_a_pooler_that_has(
    eight_clinics: Clinics,
    database_url: str,
    runs: Callable[[str, Clinics, int], AbstractContextManager[list[Sync]]],
    size: int,
) -> None:
    with pgbouncer(database_url, size=size) as url, runs(url, eight_clinics, 10) as syncs:
        _all_at_once(syncs, eight_clinics.clinics)
    assert eight_clinics.statuses() == eight_clinics.all_completed()


def test_runs_of_one_clinic_share_a_login_through_a_pooler_that_has_one_connection(
    eight_clinics: Clinics, database_url: str
) -> None:
    clinic = eight_clinics.clinics[0]
    eight_clinics.vendors[clinic.slug].on_request = lambda _: None
    with pgbouncer(database_url, size=1) as url, _own_runs(url, eight_clinics, 10) as syncs:
        _all_at_once(syncs, [clinic] * CLINICS)
    assert eight_clinics.vendors[clinic.slug].logins == 1
    assert sorted(eight_clinics.statuses()[clinic.slug]) == sorted(
        [*eight_clinics.all_completed()[clinic.slug]] * CLINICS
    )


def test_the_tables_are_made_through_a_pooler_that_has_one_connection(
    empty_database_url: str,
) -> None:
    with pgbouncer(empty_database_url, size=1) as url:
        engine = create_engine(url)
        assert migrate(engine) == REVISIONS
        check_migrated(engine)
        engine.dispose()


def test_a_phase_continues_without_a_free_connection_for_its_progress(bench: Bench) -> None:
    one = create_engine(address_of(bench.engine), pool_size=1, pool_timeout_seconds=0.05)
    context = replace(bench.context, engine=one)
    with audited(context, bench.clinic, Phase.CASES, WINDOW) as phase:
        with ThreadPoolExecutor(1) as other, transaction(one):
            other.submit(phase.progress, 0, 3).result()
        phase.progress(3, 3)
        phase.apply(lambda connection: phase.finish(connection, by_date={}))
    one.dispose()
    (audit,) = bench.rows("SELECT status, items_done FROM case_sync_audits")
    assert (audit.status, audit.items_done) == (AuditStatus.COMPLETED, 3)
