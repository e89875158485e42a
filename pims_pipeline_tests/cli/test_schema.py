"""``PIMS_DATABASE_SCHEMA``: a whole installation beside another application's tables."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from sqlalchemy import make_url, text

from pims_pipeline.cli.commands.serve import api_database, open_api
from pims_pipeline.cli.runtime import own_database
from pims_pipeline.domain.addresses.parsing import in_schema
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline.store.clinics import all_clinics, clinic_by_slug
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.tenancy import clinic_transaction, let_api_log_in
from pims_pipeline.store.embedded import server
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.adoption.schema_digest import schema_digest
from pims_pipeline_tests.adoption.shared_database import install_v4
from pims_pipeline_tests.cli.invocation import KEY, SLUG, Pims, document, error_line, store_login
from pims_pipeline_tests.cli.up.test_up import free_port
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.providers.simulated_login import session_without_browser


@pytest.fixture
def application(empty_database_url: str) -> str:
    """The address of another application's database, which has tables with names of ours."""
    install_v4(empty_database_url)
    return empty_database_url


@pytest.fixture
def stranger(server_url: str) -> Iterator[str]:
    """A login without any rights."""
    name = f"stranger_{token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        yield name
        connection.execute(f"DROP ROLE {name}".encode())


@pytest.fixture
def closed(stranger: str, application: str) -> str:
    """The same for a login that may do nothing in ``public``, and owns two empty schemas."""
    with psycopg.connect(application) as connection:
        for statement in (
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            f"CREATE SCHEMA pims AUTHORIZATION {stranger}",
            f"CREATE SCHEMA dagster AUTHORIZATION {stranger}",
        ):
            connection.execute(statement.encode())
    return make_url(application).set(username=stranger).render_as_string(hide_password=False)


def _digest(url: str) -> str:
    with psycopg.connect(url) as connection:
        return schema_digest(connection, "public")


def _add_clinic(run: Pims, simulator: SimulatorServer) -> None:
    done = run(
        "clinics",
        "add",
        SLUG,
        "--name=Riverbend Animal Hospital",
        "--timezone=America/New_York",
        "--provider=idexx_neo",
        f"--base-url={simulator.base_url}",
    )
    assert done.exit_code == 0, done.output
    store_login(run, SLUG)
    done = run("clinics", "schedule", SLUG, "--days-ahead=1", "--lookback-days=1")
    assert done.exit_code == 0, done.output


def _log_in(url: str, simulator: SimulatorServer) -> None:
    """Store a session, so that a sync needs no browser."""
    state = session_without_browser(simulator.base_url)
    engine = create_engine(url, pool_size=1)
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, SLUG)
        put_session(connection, Vault.from_base64(KEY), clinic, state.data, state.expires_at)
    engine.dispose()


def test_a_sync_beside_an_application_neither_reads_nor_writes_anything_of_it(
    pims: Pims, simulator: SimulatorServer, closed: str, application: str
) -> None:
    before = _digest(application)
    with (
        pgbouncer(closed, size=2) as pooled,
        pgbouncer(closed, size=20, mode="session") as sessions,
    ):
        ours = {
            "PIMS_DATABASE_URL": pooled,
            "PIMS_DATABASE_SCHEMA": "pims",
            "DAGSTER_POSTGRES_URL": in_schema(sessions, "dagster"),
        }
        run: Pims = partial(pims, **ours)
        document(run("migrate", "--json"))
        _add_clinic(run, simulator)
        _log_in(in_schema(pooled, "pims"), simulator)
        first = document(run("sync", "full", "--clinic", SLUG, "--json"))
        again = document(run("sync", "full", "--clinic", SLUG, "--json"))

    assert (first["success"], again["success"]) == (True, True)
    created = first["inboundResult"]["stats"]["casesCreated"]
    assert again["inboundResult"]["stats"]["casesCreated"] == 0
    assert _digest(application) == before
    with psycopg.connect(application) as connection:
        assert connection.execute("SELECT count(*) FROM pims.cases").fetchone() == (created,)
        schemas = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        assert {name for (name,) in schemas} == {"public", "pims", "dagster"}
    _the_api_reads(application)


def _the_api_reads(application: str) -> None:
    """The API starts with its own login, and sees the clinic's cases alone."""
    owner = create_engine(in_schema(application, "pims"), pool_size=1)
    api_url = let_api_log_in(owner)
    with transaction(owner) as connection:
        [clinic] = all_clinics(connection)
    owner.dispose()
    settings = Settings(database_schema="pims", api_database_url=api_url)
    with (
        api_database(settings) as url,
        open_api(settings, url) as context,
        clinic_transaction(context.engine, clinic.id) as connection,
    ):
        assert connection.scalar(text("SELECT count(*) FROM cases")) > 0


def test_without_the_setting_nothing_is_changed_and_it_is_named(
    pims: Pims, application: str
) -> None:
    before = _digest(application)

    message = error_line(pims("migrate", PIMS_DATABASE_URL=application))

    assert "tables of another program under the names of ours (case_sync_audits, cases" in message
    assert "set PIMS_DATABASE_SCHEMA to a schema for ours alone, such as pims" in message
    assert _digest(application) == before


def test_dagster_s_tables_do_not_get_into_public_because_of_a_pooler(
    pims: Pims, simulator: SimulatorServer, application: str
) -> None:
    before = _digest(application)
    with pgbouncer(application, size=2, ignored="options") as pooled:
        run: Pims = partial(pims, PIMS_DATABASE_URL=pooled, PIMS_DATABASE_SCHEMA="pims")
        document(run("migrate", "--json"))
        _add_clinic(run, simulator)

        message = error_line(run("sync", "full", "--clinic", SLUG))
        started = run("up", f"--port={free_port()}", f"--api-port={free_port()}")

    assert started.stderr.splitlines()[-1] == message
    assert "Dagster's storage is reached through a pooler in transaction mode" in message
    assert "set DAGSTER_POSTGRES_URL to the pooler's session mode (Supabase: port 5432)" in message
    assert _digest(application) == before


def test_two_schemas_are_refused_before_anything_is_opened(pims: Pims) -> None:
    url = "postgresql://vet:hunter2@db.example/pims?schema=one"

    message = error_line(pims("status", PIMS_DATABASE_URL=url, PIMS_DATABASE_SCHEMA="two"))

    assert "PIMS_DATABASE_URL and PIMS_DATABASE_SCHEMA name different schemas" in message
    assert "hunter2" not in message


def test_the_embedded_database_has_the_schema_too(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test run's server is an embedded one; to start another takes seconds.
    monkeypatch.setattr(server, "start_embedded", lambda _: empty_database_url)
    monkeypatch.setattr(server, "stop_embedded", lambda _: None)
    settings = Settings(home=tmp_path, database_schema="pims")
    with own_database(settings) as url:
        engine = create_engine(url, pool_size=1)
        assert migrate(engine)
        with transaction(engine) as connection:
            found = text("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'cases'")
            assert connection.scalars(found).all() == ["pims"]
        engine.dispose()
        with api_database(settings) as api_url, open_api(settings, api_url):
            assert "schema=pims" in api_url
