"""Every reason for which a real server refuses something has a name."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url, text
from sqlalchemy import create_engine as plain_engine
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database import engine as database
from pims_pipeline.store.database.conditions import explain
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseRefused, DatabaseUnavailable
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline_tests.databases import address_of, administer, in_another_schema

CODES = {
    "53100": "the database's disk is full (53100); free space there",
    "53200": "the database is out of memory (53200); give it more",
    "53300": "the database has no connection left (53300); close other clients",
    "53400": "a limit set in the database is exceeded (53400); raise the limit",
    "57P01": "the database is being shut down or restarted (57P01); wait until it is up",
    "57P03": "the database is starting or stopping (57P03); wait until it is up",
    "58030": "the database cannot read or write its files (58030); look at its disk",
    "XX001": "the database reports damaged data (XX001); restore it",
    "08P01": "the connection pooler refused the connection (08P01); check that",
}


def _raised(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'Rex Personal' USING ERRCODE = '{code}'; END $$"


@pytest.mark.parametrize("code", CODES)
def test_a_condition_is_named_with_its_remedy_and_without_an_applications_words(
    engine: Engine, code: str
) -> None:
    with pytest.raises(DatabaseRefused) as caught, transaction(engine) as connection:
        connection.execute(text(_raised(code)))
    assert str(caught.value).startswith(CODES[code])
    assert "\n" not in str(caught.value)
    assert "Personal" not in str(caught.value)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (
            ("SET TRANSACTION READ ONLY", "DELETE FROM cases"),
            "the database is read-only (a standby, or set so) (25006); connect to the primary",
        ),
        (
            ("SELECT * FROM nowhere",),
            'a table or column is missing (relation "nowhere" does not exist, 42P01); run `pims mi',
        ),
        (
            ("SELECT nothing FROM cases",),
            'a table or column is missing (column "nothing" does not exist, 42703); run `pims migr',
        ),
        (
            ("SET LOCAL statement_timeout = 5", "SELECT pg_sleep(60)"),
            "the database cancelled a statement: it took too long, or somebody cancelled it (57014",
        ),
        (
            ("SET LOCAL ROLE pims_api", "UPDATE cases SET status = 'draft'"),
            "the database login lacks a right (permission denied for table cases, 42501); as the o",
        ),
        (
            (
                "SET LOCAL work_mem = 64",
                "SET LOCAL temp_file_limit = 1",
                "SELECT count(*) FROM (SELECT n FROM generate_series(1, 99999) n ORDER BY -n) x",
            ),
            "a limit set in the database is exceeded (53400); raise the limit that the server's",
        ),
    ],
)
def test_what_a_real_server_refuses_is_named(
    engine: Engine, statements: tuple[str, ...], words: str
) -> None:
    def run() -> None:
        with transaction(engine) as connection:
            for each in statements:
                connection.execute(text(each))

    with pytest.raises(DatabaseRefused) as caught:
        run()
    assert str(caught.value).startswith(words)


def test_a_server_that_ends_our_connection_says_that_it_restarts(
    engine: Engine, database_url: str
) -> None:
    def be_ended() -> None:
        with transaction(engine) as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseRefused, match="shut down or restarted"):
        be_ended()


def test_a_statement_takes_no_longer_than_it_may(database_url: str) -> None:
    engine = create_engine(database_url, statement_seconds=0.05)
    with pytest.raises(DatabaseRefused, match="57014"), transaction(engine) as connection:
        connection.execute(text("SELECT pg_sleep(60)"))
    engine.dispose()


def _refusal(url: str) -> str:
    engine = create_engine(url, pool_size=1)
    with pytest.raises(DatabaseUnavailable) as caught, transaction(engine):
        pytest.fail("there is a connection")
    engine.dispose()
    return str(caught.value)


@contextmanager
def _statement(url: str, statement: str, undo: str) -> Iterator[None]:
    name = make_url(url).database
    assert name is not None
    for_database = sql.SQL(statement).format(sql.Identifier(name))
    administer(url, for_database)
    try:
        yield
    finally:
        administer(url, sql.SQL(undo).format(sql.Identifier(name)))


def test_a_database_that_is_not_there_is_named(server_url: str) -> None:
    assert "'nowhere' at " in (said := _refusal(address_of("nowhere", server_url)))
    assert "there is no such database; create it" in said


def test_a_role_that_is_not_there_is_named(database_url: str) -> None:
    stranger = make_url(database_url).set(username="stranger")
    said = _refusal(stranger.render_as_string(hide_password=False))
    assert "the database knows no such user; create it, or correct the user" in said


def test_a_database_without_a_connection_left_is_named(database_url: str, engine: Engine) -> None:
    visitor = let_api_log_in(engine)
    with _statement(
        database_url,
        "ALTER DATABASE {} CONNECTION LIMIT 0",
        "ALTER DATABASE {} CONNECTION LIMIT -1",
    ):
        said = _refusal(visitor)
    assert "the database has no connection left; close other clients or raise its limit" in said


def test_a_database_in_another_encoding_is_refused_with_what_to_create(server_url: str) -> None:
    name = sql.Identifier("test_ascii")
    create = (
        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    administer(server_url, sql.SQL(create).format(name))
    try:
        said = _refusal(address_of("test_ascii", server_url))
    finally:
        administer(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    assert said.startswith("the database does not keep its text in UTF-8; use a database with ENC")


def test_an_old_server_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_OLDEST_SERVER", 990_000)
    said = _refusal(database_url)
    assert said == "the database server is older than PostgreSQL 15; use PostgreSQL 15 or newer"


def test_a_database_without_our_tables_wants_to_be_migrated(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    with pytest.raises(DatabaseRefused, match="run `pims migrate`"), transaction(engine) as each:
        each.execute(text("SELECT * FROM clinics"))
    engine.dispose()


def test_a_schema_that_the_address_names_is_where_the_tables_are(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.here AS SELECT 1 AS n")
    engine = create_engine(in_another_schema(database_url, "elsewhere"))
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT n FROM here")) == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("FATAL:  no such database: pims", "the connection pooler refused the connection"),
        ("FATAL:  query_wait_timeout", "the connection pooler has no connection free"),
        ("FATAL:  unsupported startup parameter: options", "does not take the address's options"),
        ("FATAL:  Tenant or user not found", "the connection pooler refused the connection"),
        ("FATAL:  Max client connections reached: max clients", "pooler has no connection free"),
        ("FATAL:  MaxClientsInSessionMode: max clients - in Session mode", "has no session left"),
        ("FATAL:  SSL connection is required", "requires TLS; write sslmode=require"),
        ("FATAL:  the database system is starting up", "the database is starting or stopping"),
        ('FATAL:  password authentication failed for user "x"', "refused the user or the passw"),
        ("FATAL:  no pg_hba.conf entry for host", "the database does not let this login in"),
        ("FATAL:  sorry, too many clients already", "the database has no connection left"),
    ],
)
def test_what_a_server_or_a_pooler_says_at_the_start_of_a_connection_is_recognized(
    said: str, words: str
) -> None:
    error = psycopg.OperationalError(f"connection failed: {said}")
    explained = explain(DBAPIError("", {}, error))
    assert explained is not None
    assert words in explained


def test_a_connection_that_is_lost_over_tls_is_no_wrong_certificate() -> None:
    for said in ("SSL error: unexpected eof while reading", "SSL SYSCALL error: EOF detected"):
        assert explain(DBAPIError("", {}, psycopg.OperationalError(said))) is None


def test_what_dagsters_own_storage_is_refused_for_is_named_too(database_url: str) -> None:
    engine = plain_engine(dagster_storage_url(database_url))
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY; CREATE TABLE public.x ()")
    engine.dispose()
    assert explain(RuntimeError()) is None
    assert explain(caught.value) == (
        "Dagster's storage: the database is read-only (a standby, or set so) (25006); connect to "
        "the primary, or make it writable, then run this again"
    )
