"""Fixtures for all tests: a real PostgreSQL, a vault, a clinic.

One embedded server serves all pytest-xdist workers of a test run; a test gets an empty, migrated
database of its own. Fixtures of one room belong in its conftest; helpers to import belong in a
module of their own, such as ``databases``.
"""

import gc
import multiprocessing
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from ssl import SSLContext

import httpcore2
import pytest
from fasteners import InterProcessLock  # type: ignore[import-untyped]  # it carries no types
from hypothesis import settings
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.http import rate_limit
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.adoption.shared_database import shared_template
from pims_pipeline_tests.databases import (
    Databases,
    Engines,
    database_copied_from,
    in_our_schema,
)
from pims_pipeline_tests.one_connection import one_connection_each


def pytest_configure() -> None:
    """Handle SIGINT and SIGHUP as a terminal does; load root certificates once; set no deadlines.

    A shell's background job and ``nohup`` ignore these signals, and the processes that tests
    start and interrupt would inherit that. Loading certificates for each client takes longer than
    most tests.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    httpcore2.default_ssl_context = _shared_certificates
    # How long an example takes says something about the machine.
    settings.register_profile("without deadlines", settings(), deadline=None)
    settings.load_profile("without deadlines")


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what was imported and collected.

    That is a million objects and stays to the end. Searching them again and again for garbage took
    a sixth of the run.
    """
    gc.collect()
    gc.freeze()


_certificates = cache(httpcore2.default_ssl_context)


def _shared_certificates(*, _trust_env: bool = True) -> SSLContext:
    if _trust_env and {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        return _certificates.__wrapped__()
    return _certificates(_trust_env=_trust_env)


@pytest.fixture(autouse=True)
def _one_connection_each() -> Iterator[None]:
    """In every test, a thread of the program holds at most one connection."""
    with one_connection_each() as nested:
        yield
    assert nested == []


@pytest.fixture(autouse=True)
def _own_paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is slowed down by the pace that another one set for a vendor's account."""
    monkeypatch.setattr(rate_limit, "_buckets", {})


_FOR_TESTS = {
    # A test's database need not survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Its launcher starts a worker for each of many databases every minute; none lives long enough.
    "autovacuum": "off",
}


@pytest.fixture(scope="session")
def server_url(testrun_uid: str) -> Iterator[str]:
    """The address of the test run's server; its database ``pims`` is the migrated template."""
    # Not under pytest's own directory: the next pytest run closes that to other users, and under
    # root the server runs as another user.
    home = Path(tempfile.gettempdir()) / f"pims-tests-{testrun_uid[:12]}"
    url = start_embedded(home, settings=_FOR_TESTS)
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
        # Another worker may create the lock file again at the same time.
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this test process; they share ``public`` with a v4.0 installation."""
    template, url = shared_template(server_url), in_our_schema(server_url)
    with ExitStack() as stack:
        yield Databases(template, url, stack, others="public")


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The address of a migrated, empty database for this test alone."""
    with databases.lent() as url:
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database without any tables."""
    with database_copied_from("template0", server_url) as url:
        yield url


@pytest.fixture(scope="session")
def engines() -> Engines:
    """The engines of this test process."""
    return Engines()


@pytest.fixture
def engine(database_url: str, engines: Engines) -> Iterator[Engine]:
    """An engine on a migrated, empty database for this test alone."""
    with engines.lent(database_url) as engine:
        yield engine


@pytest.fixture(scope="session")
def vault() -> Vault:
    """A vault with a random key."""
    return Vault(secrets.token_bytes(32))


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """A context for processes that tests kill, with the slow imports preloaded.

    One fork server serves all of them; a module that it has not imported, each imports again.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "pims_pipeline_tests.store.secrets.test_rotation",
            "pims_pipeline_tests.sync.faults.test_crash",
            "pims_pipeline_tests.adoption.test_kills",
            "pims_pipeline_tests.webhooks.test_kills",
        ]
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
