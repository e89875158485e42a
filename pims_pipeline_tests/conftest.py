"""A real PostgreSQL for every test that asks: one server, one migrated template, a copy each.

The server is the embedded one, shared by all pytest-xdist workers of a test run.
"""

import multiprocessing
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from ssl import SSLContext

import httpcore2
import psycopg
import pytest
from fasteners import InterProcessLock  # type: ignore[import-untyped]  # it carries no types
from psycopg import sql
from sqlalchemy import Engine, make_url

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.one_connection import one_connection_each


def pytest_configure() -> None:
    """Let Ctrl-C and a closed terminal count, which tests in the background or of ``nohup`` ignore.

    Processes that tests start, and interrupt, would inherit that.

    Clients share the certificates of the world: each would read them again, which takes longer
    than most tests.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    httpcore2.default_ssl_context = _shared_certificates


_certificates = cache(httpcore2.default_ssl_context)


def _shared_certificates(*, _trust_env: bool = True) -> SSLContext:
    if _trust_env and {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        return _certificates.__wrapped__()
    return _certificates(_trust_env=_trust_env)


@pytest.fixture(autouse=True)
def _one_connection_each() -> Iterator[None]:
    """Whatever a test tries, the program takes one connection a thread."""
    with one_connection_each() as nested:
        yield
    assert nested == []


_NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""A test's database need not survive a power cut."""


def _on(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _administer(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(_on(url, "postgres"), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def server_url(testrun_uid: str) -> Iterator[str]:
    """The test run's server; its database ``pims`` is migrated and serves as template."""
    # Not under pytest's own directory: the next pytest run to start would close that to
    # the user a server runs as when root tests.
    home = Path(tempfile.gettempdir()) / f"pims-tests-{testrun_uid[:12]}"
    url = start_embedded(home, settings=_NO_DURABILITY)
    migrated = home / "migrated"
    with InterProcessLock(home / "migrate.lock"):
        # A template must have no connections while another worker copies it.
        if not migrated.exists():
            engine = create_engine(url, pool_size=1)
            migrate(engine)
            engine.dispose()
            migrated.touch()
    yield url
    stop_embedded(home)
    if not (home / "postgres" / "postmaster.pid").exists():
        # Its lock file is made again by whoever looks at it meanwhile.
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def database_copied_from(template: str, server_url: str) -> Iterator[str]:
    """The address of a new database that holds what ``template``, now unused, holds."""
    name = f"test_{secrets.token_hex(8)}"
    # Several times faster than to write each page of the copy into the log, where nothing need
    # survive.
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    _administer(server_url, copy.format(sql.Identifier(name), sql.Identifier(template)))
    yield _on(server_url, name)
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    _administer(server_url, drop.format(sql.Identifier(name)))


class Databases:
    """Migrated databases that are used one after the other.

    To empty one costs a fraction of making it: most tests write a few rows, and leave tables,
    functions and rights as they are. One whose shape a test changed is not used again.

    Args:
        server_url: Where they are.
        stack: Drops them in the end.
    """

    def __init__(self, server_url: str, stack: ExitStack) -> None:
        self._server_url = server_url
        self._stack = stack
        self._shapes: dict[str, str] = {}
        self._idle: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of an empty one, for as long as the block runs."""
        url = self._idle.pop() if self._idle else self._made()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            if _shape(connection) == self._shapes[url]:
                _empty(connection)
                self._idle.append(url)

    def _made(self) -> str:
        url = self._stack.enter_context(database_copied_from("pims", self._server_url))
        with psycopg.connect(url, autocommit=True) as connection:
            self._shapes[url] = _shape(connection)
        return url


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SHAPE = """
    SELECT md5(string_agg(line, chr(10) ORDER BY line COLLATE "C")) FROM (
        SELECT row(oid, nspname, nspowner, nspacl)::text FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%'
        UNION ALL
        SELECT row(oid, relname, relowner, relacl, relrowsecurity, relforcerowsecurity,
                   reloptions, relhastriggers)::text
        FROM pg_class WHERE oid >= 16384 AND relkind <> 't'
        UNION ALL
        SELECT row(attrelid, attnum, attname, atttypid, attnotnull, attacl)::text
        FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL
        SELECT row(oid, adrelid, pg_get_expr(adbin, adrelid))::text FROM pg_attrdef
        UNION ALL
        SELECT row(oid, proname, proowner, proacl, prosrc)::text FROM pg_proc WHERE oid >= 16384
        UNION ALL
        SELECT row(oid, tgenabled)::text FROM pg_trigger
        UNION ALL
        SELECT row(oid, pg_get_constraintdef(oid))::text FROM pg_constraint WHERE oid >= 16384
        UNION ALL
        SELECT row(oid, polroles, polqual, polwithcheck)::text FROM pg_policy
        UNION ALL
        SELECT row(setrole, setconfig)::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL
        SELECT row(oid, defaclacl)::text FROM pg_default_acl
        UNION ALL
        SELECT version_num FROM pims_alembic_version
    ) AS shape (line)
"""
"""Everything of a database but its rows."""


_LOGS = frozenset({"case_events", "credential_access_log"})
"""Tables that refuse to be emptied."""


def _shape(connection: "psycopg.Connection[tuple[str, ...]]") -> str:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    return row[0]


def _empty(connection: "psycopg.Connection[tuple[str, ...]]") -> None:
    """Remove every row, those of the append-only logs too, and count from one again."""
    for table in metadata.sorted_tables:
        name = sql.Identifier(table.name)
        # Other triggers and foreign keys have no say, nor has the order.
        delete = sql.SQL("SET session_replication_role = replica; DELETE FROM {}").format(name)
        if table.name in _LOGS:
            switch = sql.SQL("ALTER TABLE {} {} TRIGGER append_only")
            off = switch.format(name, sql.SQL("DISABLE"))
            on = switch.format(name, sql.SQL("ENABLE ALWAYS"))
            delete = sql.SQL("; ").join((off, delete, on))
        connection.execute(delete)
        for column in table.columns:
            if column.identity is not None:
                restart = "ALTER TABLE {} ALTER COLUMN {} RESTART"
                connection.execute(sql.SQL(restart).format(name, sql.Identifier(column.name)))


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The test process's own, of the test run's server."""
    with ExitStack() as stack:
        yield Databases(server_url, stack)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    with databases.lent() as url:
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database without any tables."""
    with database_copied_from("template0", server_url) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a database of the test's own."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def vault() -> Vault:
    """A vault with a key made up for this test run."""
    return Vault(secrets.token_bytes(32))


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """Processes to be killed, which start with everything imported.

    One server forks all of a pytest process's; what it has not imported, each imports again.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["pims_pipeline_tests.store.secrets.test_rotation", "pims_pipeline_tests.sync.test_crash"]
    )
    return context


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """A registered clinic."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="maple-street",
            name="Maple Street Veterinary",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
