"""Transient errors of the database neither fail a sync nor count anything twice."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import stamina
from sqlalchemy import Engine, event
from sqlalchemy.pool import PoolProxiedConnection

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.leases import LeaseLost
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.store.liveness import interrupt_orphans
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.store.database.test_locks import held
from pims_pipeline_tests.store.database.test_rights import wait_until
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local
from pims_pipeline_tests.sync.faults.two_days import (
    clinic_after_first_day,
    full_sync,
    outcome_of,
    second_day,
    sync_second_day,
)


@pytest.fixture
def _without_waiting() -> Iterator[None]:
    # Every statement of a transaction may fail once.
    with stamina.set_testing(True, attempts=60):
        yield


def _statuses(bench: Bench) -> list[tuple[object, object]]:
    rows = bench.rows("SELECT sync_type, status FROM case_sync_audits ORDER BY created_at")
    return [(row.sync_type, row.status) for row in rows]


ALL_COMPLETED = [(phase.value, AuditStatus.COMPLETED.value) for phase in Phase]


class _FailingEngine:
    """An engine whose every statement fails the first time."""

    def __init__(self, url: str, trouble: str) -> None:
        self.engine = create_engine(url)
        self.struck: set[str] = set()
        self._url = url
        self._trouble = trouble
        event.listen(self.engine, "before_cursor_execute", self._strike)

    def _strike(self, *given: object) -> None:
        _, cursor, statement = given[:3]
        assert isinstance(cursor, psycopg.Cursor)
        assert isinstance(statement, str)
        if statement in self.struck or threading.current_thread().name == "lease":
            return
        self.struck.add(statement)
        if self._trouble == "lost":
            with psycopg.connect(self._url, autocommit=True) as other:
                pid = cursor.connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        else:
            raises = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{self._trouble}'; END $$"
            cursor.execute(raises.encode())


@pytest.mark.usefixtures("_without_waiting")
@pytest.mark.parametrize("trouble", ["40001", "40P01", "lost"])
def test_a_sync_whose_every_statement_fails_once_has_the_same_result(
    engine: Engine, database_url: str, trouble: str
) -> None:
    expected = outcome_of(sync_second_day(engine, clinic_after_first_day(engine, 0), 3))
    clinic = clinic_after_first_day(engine, 1)
    troubled = _FailingEngine(database_url, trouble)
    vendor = FakeVendor(clinic.zone)
    second_day(vendor)
    bench = replace(full_sync(troubled.engine, clinic, vendor, 2), engine=engine)
    troubled.engine.dispose()
    assert any("INSERT INTO case_events" in each for each in troubled.struck)
    assert any("UPDATE case_sync_audits" in each for each in troubled.struck)
    assert outcome_of(bench) == expected
    rows = bench.rows(
        "SELECT sync_type, status FROM case_sync_audits WHERE run_id = 'run-2' ORDER BY created_at"
    )
    assert [(row.sync_type, row.status) for row in rows] == ALL_COMPLETED


def _lose(connection: PoolProxiedConnection) -> None:
    """Fail like a connection that broke after the commit, before the response arrived."""
    assert connection.dbapi_connection is not None
    connection.dbapi_connection.close()
    raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.mark.usefixtures("_without_waiting")
def test_a_sync_whose_commits_succeed_but_seem_to_fail_counts_nothing_twice(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = outcome_of(sync_second_day(engine, clinic_after_first_day(engine, 0), 3))
    clinic = clinic_after_first_day(engine, 1)
    lossy = create_engine(database_url)
    commit = lossy.dialect.do_commit
    done: list[str] = []
    lost: set[tuple[str, ...]] = set()
    event.listen(lossy, "before_cursor_execute", lambda *given: done.append(given[2]))

    def commit_and_lose(connection: PoolProxiedConnection) -> None:
        commit(connection)
        statements = tuple(done)
        done.clear()
        # Once per kind of transaction.
        if statements not in lost:
            lost.add(statements)
            _lose(connection)

    monkeypatch.setattr(lossy.dialect, "do_commit", commit_and_lose)
    vendor = FakeVendor(clinic.zone)
    second_day(vendor)
    bench = replace(full_sync(lossy, clinic, vendor, 2), engine=engine)
    monkeypatch.undo()
    lossy.dispose()
    assert len(lost) > 10
    assert outcome_of(bench) == expected
    rows = bench.rows(
        "SELECT sync_type, status FROM case_sync_audits WHERE run_id = 'run-2' ORDER BY created_at"
    )
    assert [(row.sync_type, row.status) for row in rows] == ALL_COMPLETED


@pytest.mark.usefixtures("_without_waiting")
def test_failed_fetches_are_counted_once_although_the_commit_seems_to_fail(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        bench.vendor.book(str(number), local(DAY, 8 + number))
        bench.vendor.record_appointment(str(number))
    bench.inbound()
    bench.vendor.fail_next(TransientError("down"), "consultation", times=9)
    commit = bench.engine.dialect.do_commit
    lost: list[object] = []

    def commit_and_lose(connection: PoolProxiedConnection) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM sync_failures")
        failures = cursor.fetchone()
        commit(connection)
        if failures != (0,) and not lost:
            lost.append(failures)
            _lose(connection)

    monkeypatch.setattr(bench.engine.dialect, "do_commit", commit_and_lose)
    with pytest.raises(TransientError):
        bench.enrich()
    monkeypatch.undo()
    assert lost == [(3,)]
    assert {row.attempts for row in bench.rows("SELECT attempts FROM sync_failures")} == {1}
    assert _statuses(bench)[-1] == (Phase.CASES.value, AuditStatus.FAILED.value)


def test_a_sync_that_deadlocks_with_the_application_completes(
    bench: Bench, database_url: str
) -> None:
    bench.vendor.book("a", local(DAY, 8))
    bench.vendor.book("b", local(DAY, 9))
    bench.inbound()
    bench.vendor.move("a", local(DAY, 10))
    bench.vendor.move("b", local(DAY, 11))
    crossing = "UPDATE cases SET updated_at = updated_at WHERE pims_id = '{}'"
    later = bench.rows("SELECT pims_id FROM cases ORDER BY pims_id DESC")[0].pims_id
    sync = threading.Thread(target=bench.inbound)
    with psycopg.connect(database_url) as application:
        # The sync is the victim: the application does not detect deadlocks in time.
        application.execute("SET deadlock_timeout = '60s'")
        application.execute(crossing.format(later).encode())
        sync.start()
        wait_until(lambda: _waits(bench))
        application.execute(crossing.format("a" if later == "b" else "b").encode())
        application.commit()
    sync.join(timeout=60)
    assert _statuses(bench)[-1] == (Phase.INBOUND.value, AuditStatus.COMPLETED.value)
    assert bench.events("a") == bench.events("b") == ["created", "rescheduled"]


def _waits(bench: Bench) -> bool:
    waiting = bench.rows(
        "SELECT 1 FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(waiting)


def test_an_open_transaction_fails_only_its_day_and_the_error_names_its_session(
    bench: Bench, database_url: str
) -> None:
    tomorrow = DAY + timedelta(days=1)
    bench.vendor.book("held", local(DAY, 8))
    bench.vendor.book("free", local(tomorrow, 8))
    bench.inbound()
    bench.vendor.set_status("held", "Paid")
    bench.vendor.set_status("free", "Paid")
    engine = create_engine(database_url, lock_seconds=0.2)
    short_waits = replace(bench, context=replace(bench.context, engine=engine))
    statement = "UPDATE cases SET updated_at = updated_at WHERE pims_id = 'held'"
    with held(database_url, statement) as pid:
        with pytest.raises(LockTimeout, match=rf"table cases .* session {pid} \(front desk\)"):
            short_waits.inbound(DateRange(DAY, DAY))
        short_waits.inbound(DateRange(tomorrow, tomorrow))
    engine.dispose()
    rows = bench.rows("SELECT status, error_message FROM case_sync_audits ORDER BY created_at")
    assert [row.status for row in rows] == ["completed", "failed", "completed"]
    assert str(rows[1].error_message).startswith("LockTimeout: table cases is locked by session")
    assert [bench.events(each)[-1] for each in ("held", "free")] == ["created", "status_changed"]
    bench.inbound()
    assert bench.events("held")[-1] == "status_changed"


def test_a_run_whose_lease_is_lost_writes_nothing_more(bench: Bench) -> None:
    bench.vendor.book("a", local(DAY, 8))

    def expire_lease(_: str) -> None:
        bench.run("UPDATE run_leases SET expires_at = clock_timestamp()")
        with transaction(bench.engine) as connection:
            interrupt_orphans(connection, bench.clinic.id, bench.clock())

    bench.vendor.on_request = expire_lease
    with pytest.raises(LeaseLost):
        bench.inbound(WINDOW)
    with pytest.raises(LeaseLost):
        bench.enrich(WINDOW)
    assert bench.rows("SELECT * FROM cases") == []
    assert _statuses(bench) == [(Phase.INBOUND.value, AuditStatus.INTERRUPTED.value)]
