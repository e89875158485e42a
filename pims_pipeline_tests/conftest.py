"""A real PostgreSQL for every test that asks: one server, one migrated template, a copy each.

The server is the embedded one, shared by all pytest-xdist workers of a test run.
"""

import multiprocessing
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest
from fasteners import InterProcessLock  # type: ignore[import-untyped]  # it carries no types
from psycopg import sql
from sqlalchemy import Engine, make_url

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database import create_engine, migrate, transaction
from pims_pipeline.store.embedded import start_embedded, stop_embedded
from pims_pipeline.store.vault import Vault


def pytest_configure() -> None:
    """Let Ctrl-C count: whoever starts the tests in the background makes them ignore it.

    Processes that tests start, and interrupt, would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
        # Its lock file is made anew by whoever looks at it meanwhile.
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


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    with database_copied_from("pims", server_url) as url:
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

    One server forks all of a pytest process's; what it has not imported, each imports anew.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["pims_pipeline_tests.store.test_rotation", "pims_pipeline_tests.sync.test_crash"]
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
