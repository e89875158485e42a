"""Which errors of the database are retried, and what happens to the others."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
import stamina
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.errors import DatabaseUnavailable, PoolExhausted
from pims_pipeline.store.database.retries import TRIES, TransactionConflict, in_transaction


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=TRIES):
        yield


class Work:
    """Fails in the database as often as given, and counts its tries."""

    def __init__(self, code: str, times: int) -> None:
        self._code = code
        self._times = times
        self.backends: list[object] = []

    def __call__(self, connection: Connection) -> str:
        self.backends.append(connection.scalar(text("SELECT pg_backend_pid()")))
        connection.execute(text("UPDATE clinics SET name = name || '!'"))
        if len(self.backends) <= self._times:
            connection.exec_driver_sql(
                f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{self._code}'; END $$"
            )
        return "done"


def _name(engine: Engine) -> object:
    return in_transaction(engine, lambda found: found.scalar(text("SELECT name FROM clinics")))


@pytest.mark.parametrize("code", ["40001", "40P01", "57P01", "53300"])
def test_what_passes_is_done_again_whole_and_counts_once(
    engine: Engine, clinic: Clinic, code: str
) -> None:
    work = Work(code, times=2)
    assert in_transaction(engine, work) == "done"
    assert len(work.backends) == 3
    assert _name(engine) == f"{clinic.name}!"


@pytest.mark.parametrize(("code", "word"), [("40001", "serialization"), ("40P01", "deadlock")])
def test_what_does_not_pass_is_named_in_the_end(
    engine: Engine, clinic: Clinic, code: str, word: str
) -> None:
    work = Work(code, times=TRIES)
    with pytest.raises(TransactionConflict, match=rf"{word}.*{code}.*nothing was written"):
        in_transaction(engine, work)
    assert len(work.backends) == TRIES
    assert _name(engine) == clinic.name


@pytest.mark.parametrize("code", ["23505", "42501", "22012"])
def test_what_would_fail_again_is_tried_once(engine: Engine, clinic: Clinic, code: str) -> None:
    work = Work(code, times=1)
    # A right that is missing may come under a name of its own.
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        in_transaction(engine, work)
    assert len(work.backends) == 1
    assert _name(engine) == clinic.name


def test_a_lost_connection_is_replaced(engine: Engine, clinic: Clinic, database_url: str) -> None:
    work = Work("00000", times=0)

    def cut_off_once(connection: Connection) -> str:
        done = work(connection)
        if len(work.backends) == 1:
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (work.backends[0],))
        return done

    assert in_transaction(engine, cut_off_once) == "done"
    assert len(set(work.backends)) == 2
    assert _name(engine) == f"{clinic.name}!"


def test_who_waited_for_a_connection_of_ours_waits_once(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=1, pool_timeout_seconds=0.01)
    tried: list[object] = []
    began, done = threading.Event(), threading.Event()

    def keep(_: Connection) -> None:
        began.set()
        done.wait(timeout=60)

    keeper = threading.Thread(target=in_transaction, args=(engine, keep))
    keeper.start()
    assert began.wait(timeout=60)
    with pytest.raises(PoolExhausted, match="PIMS_DATABASE_POOL_SIZE"):
        in_transaction(engine, tried.append)
    done.set()
    keeper.join(timeout=60)
    engine.dispose()
    assert tried == []
