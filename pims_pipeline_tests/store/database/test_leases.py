"""Leases: kept without a transaction, lost only to a process that took them over."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import (
    audit_by_id,
    audit_status,
    fail_audit,
    finish_audit,
    start_audit,
)
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.leases import (
    LeaseLost,
    LeaseTerms,
    check_run_lease,
    drop_old_leases,
    login_lease,
)
from pims_pipeline.store.liveness import (
    interrupt_orphans,
    interrupt_runs,
    run_activities,
    run_liveness,
)
from pims_pipeline_tests.store.database.test_rights import wait_until

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WINDOW = DateRange(date(2026, 3, 1), date(2026, 3, 7))
OFTEN = LeaseTerms(lasts=3600, renewed_every=0.02)
SELDOM = LeaseTerms(lasts=3600, renewed_every=3600)


def _start(engine: Engine, clinic: Clinic, owner: int, run_id: str = "run-1") -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=Phase.INBOUND,
            window=WINDOW,
            run_id=run_id,
            owner=owner,
            now=NOW,
        )


def _status(engine: Engine, audit_id: UUID) -> AuditStatus:
    with transaction(engine) as connection:
        return audit_status(connection, audit_id)


def _interrupt(engine: Engine, clinic: Clinic) -> list[UUID]:
    with transaction(engine) as connection:
        return interrupt_orphans(connection, clinic.id, NOW)


def _expire(engine: Engine, table: str = "run_leases") -> None:
    """Let all leases expire."""
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE {table} SET expires_at = clock_timestamp()"))  # noqa: S608 - a table's name


def _renewals(engine: Engine, owner: int) -> datetime | None:
    with transaction(engine) as connection:
        found: datetime | None = connection.scalar(
            text("SELECT renewed_at FROM run_leases WHERE owner = :owner"), {"owner": owner}
        )
        return found


def _finish(engine: Engine, audit_id: UUID) -> None:
    with transaction(engine) as connection:
        finish_audit(
            connection,
            audit_id,
            status=AuditStatus.COMPLETED,
            counts=Counts(),
            fetched_at=None,
            now=NOW,
        )


def test_a_run_keeps_no_connection_while_it_is_alive(engine: Engine) -> None:
    with run_liveness(engine, SELDOM):
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool's
        with transaction(engine) as connection:
            idle = connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
                    "AND datname = current_database()"
                )
            )
    assert idle == 0


def test_a_lease_is_given_back_at_the_end_at_once(engine: Engine, clinic: Clinic) -> None:
    with run_liveness(engine, SELDOM) as liveness:
        audit_id = _start(engine, clinic, liveness.owner)
        assert _interrupt(engine, clinic) == []
    assert _renewals(engine, liveness.owner) is None
    assert _interrupt(engine, clinic) == [audit_id]


def test_a_lease_is_renewed_by_the_databases_clock(engine: Engine) -> None:
    with run_liveness(engine, OFTEN) as liveness:
        first = _renewals(engine, liveness.owner)
        wait_until(lambda: _renewals(engine, liveness.owner) != first)
        with transaction(engine) as connection:
            lasts, is_past = connection.execute(
                text(
                    "SELECT expires_at - renewed_at, renewed_at <= clock_timestamp() "
                    "FROM run_leases"
                )
            ).one()
    # Each of the two times is read from the clock.
    assert lasts.total_seconds() == pytest.approx(3600, abs=1)
    assert is_past


def test_an_expired_lease_is_its_holders_until_somebody_takes_it(
    engine: Engine, clinic: Clinic
) -> None:
    with run_liveness(engine, SELDOM) as liveness:
        audit_id = _start(engine, clinic, liveness.owner)
        _expire(engine)
        with transaction(engine) as connection:
            check_run_lease(connection, liveness.owner)
        _finish(engine, audit_id)
    assert _status(engine, audit_id) is AuditStatus.COMPLETED


def test_an_audit_marked_as_interrupted_is_never_completed_afterwards(
    engine: Engine, clinic: Clinic
) -> None:
    with run_liveness(engine, SELDOM) as liveness:
        audit_id = _start(engine, clinic, liveness.owner)
        _expire(engine)
        assert _interrupt(engine, clinic) == [audit_id]
        with pytest.raises(LeaseLost, match="considered dead"):
            _finish(engine, audit_id)
        with transaction(engine) as connection:
            fail_audit(connection, audit_id, "late", NOW, error_class="Oh")
            with pytest.raises(LeaseLost):
                check_run_lease(connection, liveness.owner)
    assert _status(engine, audit_id) is AuditStatus.INTERRUPTED


def test_a_run_that_finishes_while_others_interrupt_it_comes_first_or_writes_nothing(
    engine: Engine, clinic: Clinic
) -> None:
    with run_liveness(engine, SELDOM) as liveness:
        audit_id = _start(engine, clinic, liveness.owner)
        _expire(engine)
        refused: list[type[BaseException]] = []

        def finish() -> None:
            try:
                _finish(engine, audit_id)
            except LeaseLost as error:
                refused.append(type(error))

        late = threading.Thread(target=finish)
        with transaction(engine) as connection:
            assert interrupt_orphans(connection, clinic.id, NOW) == [audit_id]
            late.start()
            wait_until(lambda: _waits_for_a_lock(engine))
        late.join(timeout=30)
    assert refused == [LeaseLost]
    assert _status(engine, audit_id) is AuditStatus.INTERRUPTED


def _waits_for_a_lock(engine: Engine) -> bool:
    with transaction(engine) as connection:
        return bool(
            connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND datname = current_database()"
                )
            )
        )


def test_a_lease_that_was_taken_is_not_renewed_again(engine: Engine, clinic: Clinic) -> None:
    others = set(threading.enumerate())
    with run_liveness(engine, OFTEN) as liveness:
        _start(engine, clinic, liveness.owner)
        with transaction(engine) as connection:
            connection.execute(text("DELETE FROM run_leases"))
        wait_until(
            lambda: not any(each.name == "lease" for each in {*threading.enumerate()} - others)
        )
        assert _renewals(engine, liveness.owner) is None


def test_a_database_out_of_reach_for_less_than_the_lease_costs_nothing(
    engine: Engine, clinic: Clinic
) -> None:
    down = threading.Event()
    refused = threading.Event()

    def refuse(*_: object) -> None:
        if down.is_set() and threading.current_thread().name == "lease":
            refused.set()
            raise DatabaseUnavailable("it is being started again")

    event.listen(engine, "before_cursor_execute", refuse)
    with run_liveness(engine, OFTEN) as liveness:
        audit_id = _start(engine, clinic, liveness.owner)
        down.set()
        assert refused.wait(timeout=30)
        last = _renewals(engine, liveness.owner)
        down.clear()
        wait_until(lambda: _renewals(engine, liveness.owner) != last)
        assert _interrupt(engine, clinic) == []
        _finish(engine, audit_id)


def test_a_run_without_a_lease_is_not_alive(engine: Engine, clinic: Clinic) -> None:
    with run_liveness(engine, SELDOM) as liveness:
        _start(engine, clinic, liveness.owner, "going")
        left = _start(engine, clinic, 4711, "killed")
        with transaction(engine) as connection:
            signs = run_activities(connection, ["going", "killed", "unknown"])
            assert {run: sign.is_held for run, sign in signs.items()} == {
                "going": True,
                "killed": False,
            }
            assert interrupt_runs(connection, ["going", "killed"], NOW) == [left]


def test_only_leases_that_expired_long_ago_are_dropped(engine: Engine) -> None:
    with run_liveness(engine, SELDOM) as liveness, transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO run_leases (owner, expires_at) "
                "SELECT -n, clock_timestamp() - n * interval '20 hours' "
                "FROM generate_series(1, 2) AS n"
            )
        )
        assert drop_old_leases(connection) == 1
        left = connection.scalars(text("SELECT owner FROM run_leases ORDER BY owner")).all()
    assert left == [-1, liveness.owner]


def test_liveness_needs_a_database_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pims_pipeline.store.database.retries.TRIES", 1)
    engine = create_engine("postgresql://vet@127.0.0.1:1/pims")
    with pytest.raises(DatabaseUnavailable), run_liveness(engine):
        pass


_HOLDER = """
import sys
from datetime import UTC, datetime
from uuid import UUID
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.store.audits import finish_audit
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.leases import LeaseTerms
engine = create_engine(sys.argv[1])
with run_liveness(engine, LeaseTerms(lasts=3600, renewed_every=float(sys.argv[2]))) as liveness:
    print(liveness.owner, flush=True)
    audit_id = UUID(sys.stdin.readline().strip())
    try:
        with transaction(engine) as connection:
            finish_audit(
                connection, audit_id, status=AuditStatus.COMPLETED, counts=Counts(),
                fetched_at=None, now=datetime.now(UTC),
            )
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


@contextmanager
def _other_process(
    database_url: str, terms: LeaseTerms = OFTEN
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with subprocess.Popen(  # noqa: S603 - this very interpreter, with a text of ours
        [sys.executable, "-c", _HOLDER, database_url, str(terms.renewed_every)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_killed_processes_audits_are_interrupted_and_a_living_ones_are_not(
    engine: Engine, database_url: str, clinic: Clinic
) -> None:
    with _other_process(database_url) as (process, owner), run_liveness(engine, OFTEN) as ours:
        theirs = _start(engine, clinic, owner)
        mine = _start(engine, clinic, ours.owner)
        # While both renew their leases, expiring them has no effect.
        first = _renewals(engine, owner)
        wait_until(lambda: _renewals(engine, owner) != first)
        process.kill()
        process.wait(timeout=30)
        assert _interrupt(engine, clinic) == []
        with transaction(engine) as connection:
            connection.execute(
                text("UPDATE run_leases SET expires_at = clock_timestamp() WHERE owner = :owner"),
                {"owner": owner},
            )
        assert _interrupt(engine, clinic) == [theirs]
        assert _status(engine, mine) is AuditStatus.IN_PROGRESS


def test_a_process_suspended_for_longer_than_its_lease_writes_nothing_when_it_resumes(
    engine: Engine, database_url: str, clinic: Clinic
) -> None:
    # Suspended within a renewal, it would keep its row locked.
    with _other_process(database_url, SELDOM) as (process, owner):
        audit_id = _start(engine, clinic, owner)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        _expire(engine)
        assert _interrupt(engine, clinic) == [audit_id]
        os.kill(process.pid, signal.SIGCONT)
        output, _ = process.communicate(f"{audit_id}\n", timeout=60)
    assert output == "LeaseLost\n"
    with transaction(engine) as connection:
        audit = audit_by_id(connection, audit_id)
    assert audit is not None
    assert audit.status is AuditStatus.INTERRUPTED


class _Taken(Exception):
    """Another process logs in."""


def _taken() -> None:
    raise _Taken


def test_one_conversation_at_a_time_logs_in_for_a_clinic(engine: Engine, clinic: Clinic) -> None:
    with login_lease(engine, clinic, SELDOM, wait=_taken) as lease:
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool's
        with pytest.raises(_Taken), login_lease(engine, clinic, SELDOM, wait=_taken):
            pass
        with transaction(engine) as connection:
            assert lease.is_held(connection)
    with login_lease(engine, clinic, SELDOM, wait=_taken):
        pass


def test_a_login_that_was_killed_frees_itself_and_one_that_is_slow_keeps_its_lease(
    engine: Engine, clinic: Clinic
) -> None:
    with login_lease(engine, clinic, SELDOM, wait=_taken) as killed:
        _expire(engine, "login_leases")
        with (
            login_lease(engine, clinic, SELDOM, wait=_taken) as next_one,
            transaction(engine) as connection,
        ):
            assert not killed.is_held(connection)
            assert next_one.is_held(connection)
    # The late process released no lease of another one.
    with login_lease(engine, clinic, OFTEN, wait=_taken):
        _expire(engine, "login_leases")

        def is_renewed() -> bool:
            with transaction(engine) as connection:
                return bool(connection.scalar(text("SELECT expires_at > now() FROM login_leases")))

        wait_until(is_renewed)
        with pytest.raises(_Taken), login_lease(engine, clinic, SELDOM, wait=_taken):
            pass
