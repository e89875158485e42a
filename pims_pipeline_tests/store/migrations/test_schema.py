"""Our tables in a schema of their own, beside another application's in ``public``.

Most tests of the store and of the API run on such a database, and fail if anything writes to
``public``. Here are the schema itself, and what our functions depend on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.addresses.parsing import in_schema
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.revision import DatabaseNotMigrated, check_migrated
from pims_pipeline.store.database.tenancy import (
    WrongApiRole,
    check_api_role,
    let_api_log_in,
)
from pims_pipeline.store.migrations.target_schema import SchemaNotUsable
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.adoption.schema_digest import schema_digest
from pims_pipeline_tests.adoption.shared_database import install_v4
from pims_pipeline_tests.databases import Databases, database_copied_from, in_another_schema
from pims_pipeline_tests.store.database.revisions import REVISIONS

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


def _digest(url: str) -> str:
    with psycopg.connect(url) as connection:
        return schema_digest(connection, "public")


def _execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


def _as(login: str, url: str) -> str:
    return make_url(url).set(username=login).render_as_string(hide_password=False)


def _schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace "
            "WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')"
        )
        return {name for (name,) in found}


def _migrated(url: str, schema: str | None = None) -> list[str]:
    engine = create_engine(in_schema(url, schema), pool_size=1)
    try:
        return migrate(engine)
    finally:
        engine.dispose()


def _refusal(url: str, schema: str | None = None) -> str:
    with pytest.raises(SchemaNotUsable) as caught:
        _migrated(url, schema)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def login(server_url: str) -> Iterator[str]:
    """A login without any rights."""
    name = f"plain_{token_hex(6)}"
    _execute(server_url, f"CREATE ROLE {name} LOGIN")
    yield name
    _execute(server_url, f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET email = email",
        "INSERT INTO calls DEFAULT VALUES",
        "GRANT SELECT ON cases TO pims_api",
        "ALTER PUBLICATION shared_realtime DROP TABLE case_sync_audits",
    ],
)
def test_a_test_that_changes_the_applications_schema_fails(
    databases: Databases, statement: str
) -> None:
    with (
        pytest.raises(AssertionError, match="the test changed the schema public"),
        databases.lent() as url,
    ):
        _execute(url, f"SET search_path = public; {statement}")


@pytest.mark.parametrize("layout", ["deployed", "documented"])
def test_tables_of_another_program_are_left_alone(empty_database_url: str, layout: str) -> None:
    install_v4(empty_database_url, layout)
    before = _digest(empty_database_url)

    message = _refusal(empty_database_url)

    assert "the schema 'public' has tables of another program under the names of ours" in message
    assert re.search(
        r"\(case_sync_audits, cases, clinic_api_keys, [a-z_, ]+( and \d more)?\)", message
    )
    assert "set PIMS_DATABASE_SCHEMA to a schema for ours alone, such as pims" in message
    assert _digest(empty_database_url) == before
    assert _schemas(empty_database_url) == {"public"}


def test_a_program_s_own_tables_without_a_name_of_ours_do_not_matter(
    empty_database_url: str,
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE owners (id int)")

    assert _migrated(empty_database_url) == REVISIONS


@pytest.mark.parametrize("schema", ["user", "p" * 63])
def test_the_schema_is_created_whatever_its_name_needs(
    empty_database_url: str, schema: str
) -> None:
    before = _digest(empty_database_url)

    assert _migrated(empty_database_url, schema) == REVISIONS
    assert _migrated(empty_database_url, schema) == []
    engine = create_engine(in_schema(empty_database_url, schema), pool_size=1)
    check_migrated(engine)
    engine.dispose()
    assert _schemas(empty_database_url) == {"public", schema}
    assert _digest(empty_database_url) == before


@pytest.mark.parametrize("schema", ["Pims", "pg_pims", "information_schema", "dagster", "a$b"])
def test_a_name_that_an_address_may_have_but_ours_may_not_is_refused(
    empty_database_url: str, schema: str
) -> None:
    message = _refusal(f"{empty_database_url}&schema={schema}")

    assert f"in the schema '{schema}': PIMS_DATABASE_SCHEMA must be the name of a sch" in message
    assert _schemas(empty_database_url) == {"public"}


def test_a_login_that_may_not_create_the_schema_is_shown_the_statement(
    login: str, empty_database_url: str
) -> None:
    url = _as(login, empty_database_url)

    message = _refusal(url, "pims")

    statement = f"CREATE SCHEMA pims AUTHORIZATION {login}"
    assert message.endswith(f"as the database's owner run {statement}")
    _execute(empty_database_url, statement)
    assert _migrated(url, "pims") == REVISIONS


def test_a_login_that_may_not_create_tables_is_shown_the_statement(
    login: str, empty_database_url: str
) -> None:
    _execute(empty_database_url, 'CREATE SCHEMA "order"')
    url = _as(login, empty_database_url)

    message = _refusal(url, "order")

    statement = f'GRANT USAGE, CREATE ON SCHEMA "order" TO {login}'
    assert message.endswith(f"as its owner run {statement}")
    _execute(empty_database_url, statement)
    assert _migrated(url, "order") == REVISIONS


def test_an_unmigrated_schema_is_named_with_the_one_that_has_tables(database_url: str) -> None:
    engine = create_engine(in_another_schema(database_url, "elsewhere"))
    with pytest.raises(DatabaseNotMigrated) as caught:
        check_migrated(engine)
    engine.dispose()

    assert str(caught.value) == (
        f"the database's schema 'elsewhere' is at no revision and this program needs "
        f"{REVISIONS[-1]}; run `pims migrate`, or set PIMS_DATABASE_SCHEMA to where there are "
        "tables: pims"
    )


def test_a_second_installation_in_a_database_is_made_with_a_warning(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    _migrated(empty_database_url)
    assert "tables_in_another_schema" not in caplog.text

    assert _migrated(empty_database_url, "pims") == REVISIONS

    assert "tables_in_another_schema" in caplog.text


def test_a_login_that_the_schema_is_closed_to_is_named_so(database_url: str, login: str) -> None:
    engine = create_engine(_as(login, database_url), pool_size=1)

    with pytest.raises(DatabaseNotMigrated, match=r"'pims' is closed to this login; make it a mem"):
        check_migrated(engine)
    with pytest.raises(WrongApiRole, match="has not the rights of pims_api"):
        check_api_role(engine)
    engine.dispose()


def _settings_of_functions(engine: Engine) -> Mapping[str, Sequence[str]]:
    functions = text(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    )
    with transaction(engine) as connection:
        return {row.proname: row.proconfig for row in connection.execute(functions)}


_NOWHERE, _OURS = ['search_path=""'], ["search_path=pims, pg_temp"]


def test_every_function_has_a_search_path_of_its_own(engine: Engine) -> None:
    found = _settings_of_functions(engine)

    assert {"pims_access", "pims_api_keys", "pims_note_schedule_start"} <= found.keys()
    assert {name: each for name, each in found.items() if each not in (_NOWHERE, _OURS)} == {}


# For a caller, ``clinics`` is first a temporary table, then the other application's.
_ODD_PATH = "SET LOCAL search_path = pg_temp, public; CREATE TEMP TABLE clinics () ON COMMIT DROP"


@pytest.mark.parametrize(
    "call",
    [
        "SELECT count(*) FROM pims.pims_access()",
        "SELECT pims.pims_secure_tables()",
        "SELECT pims.pims_grant_service()",
        "SELECT pims.pims_grant_api()",
        "SELECT pims.pims_reserve_functions()",
        "SELECT pims.pims_grant_table('cases', 'SELECT', 'pims_api')",
        "SELECT pims.pims_set_policy('pims_owner', 'cases', 'pg_database_owner', 'true')",
    ],
)
def test_a_function_does_the_same_whatever_its_callers_search_path_is(
    engine: Engine, call: str
) -> None:
    rights = text(
        "SELECT relname, ARRAY(SELECT unnest(relacl)::text ORDER BY 1), ARRAY(SELECT "
        "row(polname, polroles)::text FROM pg_policy WHERE polrelid = pg_class.oid ORDER BY 1) "
        "FROM pg_class "
        "WHERE relnamespace = 'pims'::regnamespace ORDER BY relname"
    )
    with transaction(engine) as connection:
        before = connection.execute(rights).all()
        connection.exec_driver_sql(_ODD_PATH)
        connection.execute(text(call))
        assert connection.execute(rights).all() == before


def test_what_the_api_calls_reads_our_tables_whatever_its_search_path_is(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(_ODD_PATH)
        slugs = connection.scalars(text("SELECT slug FROM pims.pims_metrics_clinics()")).all()
        assert slugs == [clinic.slug]
        connection.execute(text("SELECT * FROM pims.pims_metrics_phases()"))
        connection.execute(text("SELECT * FROM pims.pims_metrics_alerts()"))
        connection.execute(text("SELECT * FROM pims.pims_metrics_syncs(now())"))
        connection.execute(text("SELECT * FROM pims.pims_api_keys('12345678')"))
        connection.execute(text("SELECT pims.pims_note_api_key_use(gen_random_uuid())"))


def test_triggers_do_their_work_whatever_the_callers_search_path_is(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(_ODD_PATH)
        moved = text(
            "UPDATE pims.clinics SET timezone = 'Europe/Berlin' WHERE id = :id "
            "RETURNING scheduled_since > now()"
        )
        assert connection.scalar(moved, {"id": clinic.id}) is True
        changed = text(
            "UPDATE pims.clinic_schedule_configs SET sync_schedules = '{}' WHERE clinic_id = :id "
            "RETURNING schedules_changed_at ? 'inbound'"
        )
        assert connection.scalar(changed, {"id": clinic.id}) is True
        with pytest.raises(DBAPIError, match="case_events is append-only"):
            connection.execute(text("DELETE FROM pims.case_events"))
        connection.rollback()


@pytest.fixture
def in_public(server_url: str) -> Iterator[str]:
    """The address of an installation whose tables are in ``public``."""
    with database_copied_from("pims", server_url) as url:
        yield url


def test_the_documented_statements_move_an_installation_to_another_schema(in_public: str) -> None:
    engine = create_engine(in_public, pool_size=1)
    clinics = "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url) "
    with transaction(engine) as connection:
        connection.execute(
            text(f"{clinics} VALUES ('oak', 'Oak', 'UTC', 'idexx_neo', 'https://p.example')")
        )
    engine.dispose()
    [statements] = re.findall(r"```sql\n(BEGIN;.*?COMMIT;)\n```", RUNBOOK.read_text(), re.DOTALL)

    _execute(in_public, statements)

    moved = create_engine(in_schema(in_public, "pims"), pool_size=1)
    assert migrate(moved) == []
    check_migrated(moved)
    with transaction(moved) as connection:
        assert connection.scalars(text("SELECT slug FROM clinics")).all() == ["oak"]
        connection.execute(text("SELECT pims_secure_tables(), pims_grant_api()"))
        left = text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION ALL "
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        assert connection.scalars(left).all() == []
        ours = text("SELECT tablename FROM pg_tables WHERE schemaname = 'pims'")
        assert set(connection.scalars(ours)) == {*metadata.tables, "pims_alembic_version"}
    found = _settings_of_functions(moved)
    assert {name: each for name, each in found.items() if each not in (_NOWHERE, _OURS)} == {}
    api = create_engine(let_api_log_in(moved), pool_size=1)
    check_migrated(api)
    check_api_role(api)
    for each in (moved, api):
        each.dispose()
