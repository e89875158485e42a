"""A process killed at any statement leaves a state that the next run completes."""

import multiprocessing
import os
import signal
from datetime import timedelta
from itertools import count
from multiprocessing.context import ForkServerContext

import pytest
from sqlalchemy import Engine, event, make_url

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.audits import run_liveness
from pims_pipeline.store.credentials import put_credentials
from pims_pipeline.store.database import create_engine, transaction
from pims_pipeline.store.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline_tests.conftest import database_copied_from
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.sync.conftest import DAY, NOW, Bench, Clock, local

MOST_STATEMENTS = 200


def _first_day(vendor: FakeVendor) -> None:
    for number in range(6):
        vendor.book(str(number), local(DAY, 8 + number))
    vendor.record_visit("0")


def _second_day(vendor: FakeVendor) -> None:
    """One of everything: a move, a deletion, a booking, a finished visit, a note."""
    _first_day(vendor)
    vendor.move("1", local(DAY + timedelta(days=2), 9))
    vendor.delete("2")
    vendor.book("new", local(DAY, 16))
    vendor.record_visit("3")
    vendor.record_visit("0", notes="corrected")
    vendor.set_status("0", "Paid")


def _full_sync(engine: Engine, clinic: Clinic, vendor: FakeVendor, run: int) -> Bench:
    clock = Clock(NOW + timedelta(hours=run))
    with run_liveness(engine) as liveness:
        context = SyncContext(
            engine=engine,
            vault=Vault(bytes(32)),
            open_provider=lambda _: FakeProvider(vendor),
            run_id=f"run-{run}",
            liveness=liveness,
            clock=clock,
        )
        vendor.clock = clock
        bench = Bench(engine, clinic, vendor, clock, context)
        bench.inbound()
        bench.enrich()
        bench.reconcile()
    return bench


def _sync_until_killed(url: str, clinic: Clinic, statements: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or commit."""
    engine = create_engine(url)
    seen = count(1)

    def strike(*_: object) -> None:
        if next(seen) == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", strike)
    event.listen(engine, "commit", strike)
    vendor = FakeVendor(clinic.zone)
    _second_day(vendor)
    _full_sync(engine, clinic, vendor, 2)


def _outcome(bench: Bench) -> dict[str, object]:
    """What the cases and their stories say, without identities of runs and moments."""
    return {
        "cases": bench.rows(
            "SELECT pims_id, patient_name, patient_species, scheduled_start, status, "
            "metadata #>> '{consultation,notes}', metadata #>> '{reconciliation,reason}' "
            "FROM cases ORDER BY pims_id"
        ),
        "stories": bench.rows(
            "SELECT c.pims_id, e.kind, count(*) FROM case_events e "
            "JOIN cases c ON c.id = e.case_id GROUP BY 1, 2 ORDER BY 1, 2"
        ),
    }


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Processes that start with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture
def after_first_day(engine: Engine, clinic: Clinic, database_url: str) -> str:
    """The name of a database to be copied, synced with the first day's diary."""
    vendor = FakeVendor(clinic.zone)
    _first_day(vendor)
    with transaction(engine) as connection:
        put_credentials(connection, Vault(bytes(32)), clinic, vendor.credentials.to_mapping())
    _full_sync(engine, clinic, vendor, 1)
    engine.dispose()
    return make_url(database_url).database or ""


def _second_run(url: str, clinic: Clinic, run: int) -> Bench:
    engine = create_engine(url)
    vendor = FakeVendor(clinic.zone)
    _second_day(vendor)
    bench = _full_sync(engine, clinic, vendor, run)
    engine.dispose()
    return bench


def test_a_sync_killed_before_any_statement_is_completed_by_the_next(
    after_first_day: str, server_url: str, clinic: Clinic, forks: ForkServerContext
) -> None:
    with database_copied_from(after_first_day, server_url) as url:
        undisturbed = _second_run(url, clinic, 2)
        expected = _outcome(undisturbed)
        undisturbed.engine.dispose()
    killed_at = []
    for statements in range(1, MOST_STATEMENTS):
        with database_copied_from(after_first_day, server_url) as url:
            process = forks.Process(target=_sync_until_killed, args=(url, clinic, statements))
            process.start()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            killed_at.append(statements)
            bench = _second_run(url, clinic, 3)
            assert _outcome(bench) == expected, f"killed before statement {statements}"
            left = bench.rows("SELECT status, run_id FROM case_sync_audits ORDER BY created_at")
            assert [row.run_id for row in left if row.status == "in_progress"] == []
            assert [row.status for row in left if row.run_id == "run-3"] == ["completed"] * 3
            assert {row.status for row in left if row.run_id == "run-2"} <= {
                "completed",
                "interrupted",
            }
            bench.engine.dispose()
    assert killed_at == list(range(1, statements))
    assert len(killed_at) > 60
