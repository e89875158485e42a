"""Rotation: every secret comes under the current key, whoever writes or is killed meanwhile."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, make_url, select, text, update

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.secrets.credentials import (
    mark_credentials,
    put_credentials,
    read_credentials,
)
from pims_pipeline.store.secrets.rotation import Rotation, StuckRow, rotate
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials, pims_sessions
from pims_pipeline.store.tables.clinics import clinics

OLD_KEY, NEW_KEY, LOST_KEY = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
OLD, NEW = Vault(OLD_KEY), Vault(NEW_KEY)
ROTATING = Vault(NEW_KEY, [OLD_KEY])
SLUGS = ("ash", "birch", "cedar")
NOTHING = Rotation(credentials=0, sessions=0, sessions_dropped=0, stuck=(), left=0)
TABLES = (pims_credentials, pims_sessions)
MOST_STATEMENTS = 100


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=8)


def _password(clinic: Clinic) -> dict[str, str | None]:
    return {"username": clinic.slug, "password": f"hunter2 of {clinic.slug}"}


def _cookies(clinic: Clinic) -> bytes:
    return f"cookies=hunter2 of {clinic.slug}".encode()


def _store(engine: Engine, vault: Vault, clinic: Clinic) -> None:
    """The clinic's login and session, under the vault's current key."""
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, _password(clinic))
        mark_credentials(connection, clinic, CredentialStatus.VALID)
        put_session(connection, vault, clinic, _cookies(clinic), _later())


@pytest.fixture
def grove(engine: Engine) -> list[Clinic]:
    """Clinics whose login and session lie under the old key."""
    with transaction(engine) as connection:
        grove = [
            add_clinic(
                connection,
                slug=slug,
                name=slug.title(),
                timezone="UTC",
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
            for slug in SLUGS
        ]
    for clinic in grove:
        _store(engine, OLD, clinic)
    return grove


def _rotate(engine: Engine, vault: Vault = ROTATING, **options: Any) -> Rotation:
    return rotate(engine, vault, run_id="pims credentials rotate", **options)


def _assert_readable(engine: Engine, vault: Vault, grove: list[Clinic]) -> None:
    """Everything is there, and says what was stored."""
    with transaction(engine) as connection:
        for clinic in grove:
            login = read_credentials(connection, vault, clinic, purpose="test", run_id=None)
            session = read_session(connection, vault, clinic, purpose="test", run_id=None)
            assert login.fields == _password(clinic)
            assert session is not None
            assert session.data == _cookies(clinic)


def _under(engine: Engine, vault: Vault) -> set[tuple[str, str]]:
    """Table and clinic of every row under the vault's current key, by envelope and column."""
    with transaction(engine) as connection:
        return {
            (table.name, row.slug)
            for table in TABLES
            for row in connection.execute(
                select(clinics.c.slug, table.c.encrypted_data, table.c.key_id).join(
                    clinics, clinics.c.id == table.c.clinic_id
                )
            )
            if row.encrypted_data.startswith(vault.header) and row.key_id == vault.key_id
        }


ALL = {(table.name, slug) for table in TABLES for slug in SLUGS}


def _rotations_logged(engine: Engine) -> list[tuple[str, str, str, str | None]]:
    log = credential_access_log.c
    with transaction(engine) as connection:
        rows = connection.execute(
            select(clinics.c.slug, log.provider_type, log.purpose, log.run_id)
            .join(clinics, clinics.c.id == log.clinic_id)
            .where(log.purpose == "rotation")
        )
        return sorted((row.slug, row.provider_type, row.purpose, row.run_id) for row in rows)


def _copy_envelope(engine: Engine, table: Table, of: Clinic, to: Clinic) -> None:
    with transaction(engine) as connection:
        theirs = select(table.c.encrypted_data).where(table.c.clinic_id == of.id)
        connection.execute(
            update(table)
            .where(table.c.clinic_id == to.id)
            .values(encrypted_data=theirs.scalar_subquery())
        )


def test_everything_comes_under_the_current_key_and_the_retired_one_can_go(
    engine: Engine, grove: list[Clinic]
) -> None:
    done = _rotate(engine)

    assert done == Rotation(credentials=3, sessions=3, sessions_dropped=0, stuck=(), left=0)
    assert done.is_complete
    assert _under(engine, NEW) == ALL
    _assert_readable(engine, NEW, grove)


def test_a_second_rotation_finds_nothing_to_do_and_decrypts_nothing(
    engine: Engine, grove: list[Clinic]
) -> None:
    assert len(grove) == 3
    _rotate(engine)
    logged = _rotations_logged(engine)

    assert _rotate(engine) == NOTHING
    assert _rotations_logged(engine) == logged


def test_without_any_secrets_there_is_nothing_to_do(engine: Engine) -> None:
    assert _rotate(engine) == NOTHING


def test_each_decryption_is_logged(engine: Engine, grove: list[Clinic]) -> None:
    assert [clinic.slug for clinic in grove] == list(SLUGS)
    _rotate(engine)
    entry = ("idexx_neo", "rotation", "pims credentials rotate")

    assert _rotations_logged(engine) == [(slug, *entry) for slug in SLUGS for _ in TABLES]


def test_nothing_but_the_envelope_and_its_keys_name_changes(
    engine: Engine, grove: list[Clinic]
) -> None:
    def rest() -> list[tuple[Any, ...]]:
        with transaction(engine) as connection:
            return [
                tuple(row)
                for table in TABLES
                for row in connection.execute(
                    select(
                        *(
                            column
                            for column in table.c
                            if column.name not in {"encrypted_data", "key_id"}
                        )
                    ).order_by(table.c.clinic_id)
                )
            ]

    with transaction(engine) as connection:
        mark_credentials(connection, grove[0], CredentialStatus.NEEDS_HUMAN)
        read_session(connection, OLD, grove[1], purpose="sync", run_id=None)
    before = rest()
    _rotate(engine)

    assert rest() == before
    assert any("needs_human" in row for row in before)


def test_the_rights_of_the_services_role_are_enough(
    engine: Engine, grove: list[Clinic], database_url: str
) -> None:
    as_service = make_url(database_url).update_query_dict({"options": "-c role=pims_service"})
    service = create_engine(as_service.render_as_string(hide_password=False))
    _store(engine, Vault(LOST_KEY), grove[2])
    done = _rotate(service)
    service.dispose()

    assert (done.credentials, done.sessions, done.sessions_dropped) == (2, 2, 1)


def test_rows_are_done_in_batches_and_progress_tells_how_far(
    engine: Engine, grove: list[Clinic]
) -> None:
    assert len(grove) == 3
    shown: list[tuple[int, int]] = []
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    done = _rotate(engine, batch_rows=2, show_progress=lambda *told: shown.append(told))

    assert (done.credentials, done.sessions) == (3, 3)
    assert shown == [(2, 6), (3, 6), (5, 6), (6, 6)]
    # One to list what is to be done, one to see that nothing is left.
    assert len(commits) == len(shown) + 2


def test_what_is_under_the_current_key_already_stays_byte_for_byte(
    engine: Engine, grove: list[Clinic]
) -> None:
    _store(engine, NEW, grove[1])

    def envelopes() -> list[bytes]:
        with transaction(engine) as connection:
            return [
                data
                for table in TABLES
                for data in connection.scalars(
                    select(table.c.encrypted_data).where(table.c.clinic_id == grove[1].id)
                )
            ]

    before = envelopes()

    assert (_rotate(engine).credentials, envelopes()) == (2, before)
    assert SLUGS[1] not in {slug for slug, *_ in _rotations_logged(engine)}


@pytest.mark.parametrize("written", ["old", "new"])
def test_a_wrong_word_in_the_column_of_key_ids_misleads_nobody(
    engine: Engine, grove: list[Clinic], written: str
) -> None:
    _store(engine, NEW, grove[0])
    with transaction(engine) as connection:
        for table in TABLES:
            wrong = OLD.key_id if written == "old" else NEW.key_id
            connection.execute(update(table).values(key_id=wrong))
    done = _rotate(engine)

    assert done.is_complete
    assert _under(engine, NEW) == ALL
    _assert_readable(engine, NEW, grove)


def test_rows_of_several_retired_keys_come_together(engine: Engine, grove: list[Clinic]) -> None:
    _store(engine, Vault(LOST_KEY), grove[2])
    _rotate(engine, Vault(NEW_KEY, [OLD_KEY, LOST_KEY]))

    _assert_readable(engine, NEW, grove)


def test_expired_sessions_under_other_keys_are_dropped_unread(
    engine: Engine, grove: list[Clinic]
) -> None:
    with transaction(engine) as connection:
        connection.execute(update(pims_sessions).values(expires_at=datetime.now(UTC)))
    done = _rotate(engine)

    assert (done.sessions, done.sessions_dropped, done.is_complete) == (0, 3, True)
    assert _under(engine, NEW) == {(pims_credentials.name, clinic.slug) for clinic in grove}
    assert len(_rotations_logged(engine)) == 3


def test_a_login_whose_key_is_gone_is_told_and_its_session_dropped(
    engine: Engine, grove: list[Clinic]
) -> None:
    _store(engine, Vault(LOST_KEY), grove[1])
    done = _rotate(engine, batch_rows=1)

    assert (done.credentials, done.sessions, done.sessions_dropped) == (2, 2, 1)
    [stuck] = done.stuck
    assert stuck == StuckRow(
        clinic_slug=SLUGS[1],
        table=pims_credentials.name,
        provider_type="idexx_neo",
        key_gone=True,
    )
    assert not done.is_complete
    assert _under(engine, NEW) == {entry for entry in ALL if entry[1] != SLUGS[1]}
    # Given its key back, it comes along.
    assert _rotate(engine, Vault(NEW_KEY, [LOST_KEY])) == Rotation(
        credentials=1, sessions=0, sessions_dropped=0, stuck=(), left=0
    )


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_damaged_row_stays_and_is_told_and_the_others_go_on(
    engine: Engine, grove: list[Clinic], table: Table
) -> None:
    _copy_envelope(engine, table, of=grove[2], to=grove[0])
    for _ in range(2):
        done = _rotate(engine, batch_rows=2)
        assert done.stuck == (
            StuckRow(
                clinic_slug=SLUGS[0],
                table=table.name,
                provider_type="idexx_neo",
                key_gone=False,
            ),
        )
        assert done.left == 0
    assert _under(engine, NEW) == ALL - {(table.name, SLUGS[0])}


@pytest.mark.parametrize(
    "damage", [b"", b"\x01", b"\x02" + bytes(60), b"hunter2"], ids=["empty", "cut", "v2", "text"]
)
def test_what_is_no_envelope_is_told_and_kept(
    engine: Engine, grove: list[Clinic], damage: bytes
) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(pims_sessions)
            .where(pims_sessions.c.clinic_id == grove[1].id)
            .values(encrypted_data=damage)
        )
    done = _rotate(engine)

    assert [(each.clinic_slug, each.table) for each in done.stuck] == [
        (SLUGS[1], pims_sessions.name)
    ]
    assert _under(engine, NEW) == ALL - {(pims_sessions.name, SLUGS[1])}


def _until_somebody_waits(engine: Engine) -> None:
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
    raise AssertionError("nobody waits for a lock")


def _started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_being_stored_while_a_batch_wants_the_row_stays(
    engine: Engine, grove: list[Clinic]
) -> None:
    done: list[Rotation] = []
    with transaction(engine) as connection:
        put_session(connection, NEW, grove[0], b"newer", _later())
        rotation = _started(lambda: done.append(_rotate(engine)))
        _until_somebody_waits(engine)
    rotation.join()

    assert [(each.credentials, each.sessions, each.is_complete) for each in done] == [(3, 2, True)]
    assert _under(engine, NEW) == ALL
    with transaction(engine) as connection:
        session = read_session(connection, NEW, grove[0], purpose="test", run_id=None)
    assert session is not None
    assert session.data == b"newer"


def test_what_is_stored_while_a_batch_holds_the_row_comes_after_it(
    engine: Engine, grove: list[Clinic]
) -> None:
    new_login: dict[str, str | None] = {"username": "ash", "password": "changed"}
    writers: list[threading.Thread] = []

    def write() -> None:
        with transaction(engine) as connection:
            put_credentials(connection, NEW, grove[0], new_login)

    def before_it_writes(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("UPDATE pims_credentials AS t") and not writers:
            writers.append(_started(write))
            _until_somebody_waits(engine)

    event.listen(engine, "before_cursor_execute", before_it_writes)
    done = _rotate(engine)
    writers[0].join()

    assert done.is_complete
    with transaction(engine) as connection:
        login = read_credentials(connection, NEW, grove[0], purpose="test", run_id=None)
    assert (login.fields, login.status) == (new_login, "unverified")


def test_what_another_process_stores_under_its_old_key_is_counted(
    engine: Engine, grove: list[Clinic]
) -> None:
    def store_again(done: int, total: int) -> None:
        if done == total:
            _store(engine, OLD, grove[0])

    done = _rotate(engine, show_progress=store_again)

    assert (done.stuck, done.left, done.is_complete) == ((), 2, False)
    assert _rotate(engine).is_complete


def test_two_rotations_at_once_do_each_row_once(engine: Engine, grove: list[Clinic]) -> None:
    both: list[Rotation] = []
    gate = threading.Barrier(2, timeout=30)

    def work() -> None:
        gate.wait()
        both.append(_rotate(engine, batch_rows=1))

    for thread in [_started(work), _started(work)]:
        thread.join()

    assert [each.is_complete for each in both] == [True, True]
    assert (sum(each.credentials for each in both), sum(each.sessions for each in both)) == (3, 3)
    assert len(_rotations_logged(engine)) == 6
    _assert_readable(engine, NEW, grove)


def _rotate_until_killed(url: str, fatal: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or commit."""
    engine = create_engine(url)
    seen = count(1)

    def strike(*_: object) -> None:
        if next(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", strike)
    event.listen(engine, "commit", strike)
    _rotate(engine, batch_rows=2)


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
    engine: Engine, grove: list[Clinic], database_url: str, forks: ForkServerContext
) -> None:
    done_by_then: list[int] = []
    logged_before = 0
    for fatal in _kills(forks, database_url):
        _assert_readable(engine, ROTATING, grove)
        under_new = _under(engine, NEW)
        assert under_new | _under(engine, OLD) == ALL, f"killed before {fatal}"
        assert len(_rotations_logged(engine)) - logged_before == len(under_new)
        done_by_then.append(len(under_new))

        assert _rotate(engine).is_complete
        _assert_readable(engine, NEW, grove)
        assert len(_rotations_logged(engine)) - logged_before == len(ALL)
        for clinic in grove:
            _store(engine, OLD, clinic)
        logged_before = len(_rotations_logged(engine))

    assert done_by_then == sorted(done_by_then)
    # Whole batches only: two and one of each table.
    assert set(done_by_then) == {0, 2, 3, 5, 6}
