"""A rotation loses nothing when others write, rotate or kill it at the same time."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing.context import ForkServerContext
from typing import Any

from sqlalchemy import Engine, event, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.secrets.credentials import (
    put_credentials,
    read_credentials,
)
from pims_pipeline.store.secrets.rotation import Rotation
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline_tests.store.secrets.rotations import (
    ALL,
    NEW,
    OLD,
    ROTATING,
    assert_readable,
    in_eight_hours,
    rotate_secrets,
    rotations_logged,
    rows_under,
    store_secrets,
)

MOST_STATEMENTS = 100


def _until_a_connection_waits(engine: Engine) -> None:
    """Return once another connection to the database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
    raise AssertionError("no connection waits for a lock")


def _started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_being_stored_while_a_batch_wants_the_row_stays(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    done: list[Rotation] = []
    with transaction(engine) as connection:
        put_session(connection, NEW, old_key_clinics[0], b"newer", in_eight_hours())
        rotation = _started(lambda: done.append(rotate_secrets(engine)))
        _until_a_connection_waits(engine)
    rotation.join()

    assert [(each.credentials, each.sessions, each.is_complete) for each in done] == [(3, 2, True)]
    assert rows_under(engine, NEW) == ALL
    with transaction(engine) as connection:
        session = read_session(connection, NEW, old_key_clinics[0], purpose="test", run_id=None)
    assert session is not None
    assert session.data == b"newer"


def test_what_is_stored_while_a_batch_holds_the_row_comes_after_it(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    new_login: dict[str, str | None] = {"username": "ash", "password": "changed"}
    writers: list[threading.Thread] = []

    def write() -> None:
        with transaction(engine) as connection:
            put_credentials(connection, NEW, old_key_clinics[0], new_login)

    def before_it_writes(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("UPDATE pims_credentials AS t") and not writers:
            writers.append(_started(write))
            _until_a_connection_waits(engine)

    event.listen(engine, "before_cursor_execute", before_it_writes)
    done = rotate_secrets(engine)
    writers[0].join()

    assert done.is_complete
    with transaction(engine) as connection:
        login = read_credentials(connection, NEW, old_key_clinics[0], purpose="test", run_id=None)
    assert (login.fields, login.status) == (new_login, "unverified")


def test_what_another_process_stores_under_its_old_key_is_counted(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    def store_again(done: int, total: int) -> None:
        if done == total:
            store_secrets(engine, OLD, old_key_clinics[0])

    done = rotate_secrets(engine, show_progress=store_again)

    assert (done.stuck, done.left, done.is_complete) == ((), 2, False)
    assert rotate_secrets(engine).is_complete


def test_two_rotations_at_once_do_each_row_once(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    both: list[Rotation] = []
    gate = threading.Barrier(2, timeout=30)

    def work() -> None:
        gate.wait()
        both.append(rotate_secrets(engine, batch_rows=1))

    for thread in [_started(work), _started(work)]:
        thread.join()

    assert [each.is_complete for each in both] == [True, True]
    assert (sum(each.credentials for each in both), sum(each.sessions for each in both)) == (3, 3)
    assert len(rotations_logged(engine)) == 6
    assert_readable(engine, NEW, old_key_clinics)


def _rotate_until_killed(url: str, fatal: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or commit."""
    engine = create_engine(url)
    seen = count(1)

    def strike(*_: object) -> None:
        if next(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", strike)
    event.listen(engine, "commit", strike)
    rotate_secrets(engine, batch_rows=2)


def _kills(forks: ForkServerContext, url: str) -> Iterator[int]:
    """Rotations, each killed one statement or commit later than the one before."""
    for fatal in range(1, MOST_STATEMENTS):
        process = forks.Process(target=_rotate_until_killed, args=(url, fatal))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL
        yield fatal
    raise AssertionError("the rotation never came to its end")


def test_a_rotation_killed_before_any_statement_loses_nothing_and_is_completed_by_the_next(
    engine: Engine, old_key_clinics: list[Clinic], database_url: str, forks: ForkServerContext
) -> None:
    done_by_then: list[int] = []
    logged_before = 0
    for fatal in _kills(forks, database_url):
        assert_readable(engine, ROTATING, old_key_clinics)
        under_new = rows_under(engine, NEW)
        assert under_new | rows_under(engine, OLD) == ALL, f"killed before {fatal}"
        assert len(rotations_logged(engine)) - logged_before == len(under_new)
        done_by_then.append(len(under_new))

        assert rotate_secrets(engine).is_complete
        assert_readable(engine, NEW, old_key_clinics)
        assert len(rotations_logged(engine)) - logged_before == len(ALL)
        for clinic in old_key_clinics:
            store_secrets(engine, OLD, clinic)
        logged_before = len(rotations_logged(engine))

    assert done_by_then == sorted(done_by_then)
    # Whole batches only: two and one of each table.
    assert set(done_by_then) == {0, 2, 3, 5, 6}
