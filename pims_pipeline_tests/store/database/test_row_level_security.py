"""The database keeps clinics apart: what the API's role sees and changes, tried in SQL.

Two clinics have a row in every table. Each statement is tried in a transaction of its own, which
is rolled back. The tests of rights prove what each role may do to a table as a whole.
"""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from sqlalchemy import (
    Engine,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.dagster.schema import ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import clinic_transaction, let_api_log_in
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.adoption.shared_database import shared_template
from pims_pipeline_tests.databases import database_copied_from, in_our_schema
from pims_pipeline_tests.store.database.row_trials import (
    DENIED,
    MALFORMED,
    NO_ROWS,
    REFUSED,
    SLUGS,
    RowTrial,
    rolled_back,
)
from pims_pipeline_tests.store.tenant_rows import TenantRows, add_tenant

# What the API may do to its clinic's rows. Everything else is denied, for the rows of any clinic.
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "adopted_cases": (),
    "adoption_diffs": (),
    "adoption_steps": (),
    "adoptions": (),
    "alerts": (),
    "application_writes": (),
    "case_events": ("SELECT",),
    "case_sync_audits": ("SELECT",),
    "cases": ("SELECT",),
    "clinic_api_keys": (),
    "clinic_schedule_configs": ("SELECT",),
    "clinic_words": (),
    "clinics": ("SELECT",),
    "credential_access_log": ("SELECT",),
    "idempotency_keys": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "login_leases": (),
    "operator_log": (),
    "operator_roles": (),
    "operator_sign_ins": (),
    "operators": (),
    "pims_appointments": ("SELECT",),
    "pims_credentials": (),
    "pims_sessions": (),
    "reconciliation_holds": ("SELECT",),
    "run_leases": (),
    "schedule_skips": (),
    "sign_in_attempts": (),
    "sync_failures": ("SELECT",),
    "sync_requests": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "vendor_shapes": (),
    "webhook_deliveries": (),
    "webhooks": (),
}

CONSOLE_READS = {
    "case_events",
    "case_sync_audits",
    "cases",
    "clinic_schedule_configs",
    "clinic_words",
    "clinics",
    "credential_access_log",
    "operator_log",
    "pims_appointments",
    "pims_credentials",
    "pims_sessions",
    "reconciliation_holds",
    "schedule_skips",
    "sync_failures",
}
"""The tables that the console's role reads, of the operator's clinics."""
CONSOLE_WRITES = {
    "clinic_schedule_configs": ("insert", "update"),
    "reconciliation_holds": ("update",),
    "sync_failures": ("update",),
}
"""What it writes, if the operator has the role for it."""

_NOTHING = {
    "SELECT": NO_ROWS,
    "UPDATE": NO_ROWS,
    "DELETE": NO_ROWS,
    "INSERT": {"maple-street": REFUSED, "oak-lane": REFUSED},
}
# The outcome of a permitted statement, by the setting that names the clinic. A set names the
# clinics whose rows were read or changed. An insert is tried for each clinic in turn.
OUTCOMES: Mapping[str, Mapping[str, object]] = {
    "maple-street": {
        "SELECT": {"maple-street"},
        "UPDATE": {"maple-street"},
        "DELETE": {"maple-street"},
        "INSERT": {"maple-street": {"maple-street"}, "oak-lane": REFUSED},
    },
    "oak-lane": {
        "SELECT": {"oak-lane"},
        "UPDATE": {"oak-lane"},
        "DELETE": {"oak-lane"},
        "INSERT": {"maple-street": REFUSED, "oak-lane": {"oak-lane"}},
    },
    "unknown": _NOTHING,
    "empty": _NOTHING,
    "none": _NOTHING,
    "garbage": {
        "SELECT": MALFORMED,
        "UPDATE": MALFORMED,
        "DELETE": MALFORMED,
        "INSERT": {"maple-street": MALFORMED, "oak-lane": MALFORMED},
    },
}
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@pytest.fixture(scope="module")
def owner(server_url: str) -> Iterator[Engine]:
    """The owner's engine on a database that the tests of this module leave as it was."""
    with database_copied_from(shared_template(server_url), in_our_schema(server_url)) as url:
        engine = create_engine(url)
        ensure_dagster_schema(engine)
        with transaction(engine) as connection:
            connection.execute(text("CREATE TABLE dagster.runs ()"))
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def stored(owner: Engine) -> Mapping[str, TenantRows]:
    """The rows there are, by clinic and table."""
    with transaction(owner) as connection:
        return {slug: add_tenant(connection, slug) for slug in SLUGS}


@pytest.fixture(scope="module")
def api(owner: Engine) -> Iterator[Engine]:
    """An engine that connects as the API does."""
    engine = create_engine(let_api_log_in(owner), pool_size=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("setting", OUTCOMES)
def test_the_api_reads_and_changes_rows_of_the_clinic_that_is_set_and_of_no_other(
    api: Engine, stored: Mapping[str, TenantRows], setting: str
) -> None:
    values = {slug: str(tables["clinics"]["id"]) for slug, tables in stored.items()}
    values |= {"unknown": str(uuid4()), "empty": "", "garbage": "' OR true --"}
    trial = RowTrial(api, values.get(setting), stored)
    assert {
        (table, verb): trial.outcome(table, verb) for table in metadata.tables for verb in VERBS
    } == {
        (table, verb): OUTCOMES[setting][verb] if verb in rights else DENIED
        for table, rights in RIGHTS.items()
        for verb in VERBS
    }


def test_every_table_has_a_row_of_each_clinic(stored: Mapping[str, TenantRows]) -> None:
    assert {slug: set(tables) for slug, tables in stored.items()} == {
        slug: set(metadata.tables) for slug in SLUGS
    }


def test_a_row_cannot_be_given_to_another_clinic(
    api: Engine, stored: Mapping[str, TenantRows]
) -> None:
    ours, theirs = (stored[slug]["clinics"]["id"] for slug in SLUGS)
    for table in ("sync_requests", "idempotency_keys"):
        statement = update(metadata.tables[table]).values(clinic_id=theirs)
        with (
            pytest.raises(DBAPIError, match="violates row-level security policy"),
            rolled_back(api, str(ours)) as connection,
        ):
            connection.execute(statement)


def test_the_setting_ends_with_its_transaction(
    api: Engine, stored: Mapping[str, TenantRows]
) -> None:
    clinic_id = stored["oak-lane"]["clinics"]["id"]
    with clinic_transaction(api, clinic_id) as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
        assert [clinic.id for clinic in all_clinics(connection)] == [clinic_id]
    with transaction(api) as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == backend
        assert all_clinics(connection) == []
    with pytest.raises(ZeroDivisionError), clinic_transaction(api, clinic_id):
        raise ZeroDivisionError
    with transaction(api) as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == backend
        assert all_clinics(connection) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL row_security = off; SELECT * FROM cases",
        "SET LOCAL ROLE postgres",
        "SET LOCAL ROLE pims_service",
        "SET LOCAL SESSION AUTHORIZATION postgres",
        "ALTER TABLE cases DISABLE ROW LEVEL SECURITY",
        "DROP POLICY pims_api ON cases",
        "ALTER ROLE pims_api BYPASSRLS",
        "TRUNCATE idempotency_keys",
        "SELECT pims_grant_api()",
        "SELECT pims_grant_service()",
        "SELECT pims_secure_tables()",
        "SELECT pims_set_policy('another', 'cases', 'pims_api', 'true')",
        "SELECT pims_grant_table('pims_sessions', 'SELECT', 'pims_api')",
        "SELECT * FROM dagster.runs",
    ],
)
def test_the_api_cannot_free_itself(
    api: Engine, stored: Mapping[str, TenantRows], statement: str
) -> None:
    ours = str(stored["oak-lane"]["clinics"]["id"])
    with (
        pytest.raises(DBAPIError, match=r"\[42501"),
        rolled_back(api, ours) as connection,
    ):
        connection.execute(text(statement))


def test_the_clinic_is_looked_up_once_per_statement_and_by_the_index(api: Engine) -> None:
    with rolled_back(api, str(uuid4())) as connection:
        # There are too few rows for an index to be worth it.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = connection.scalars(text("EXPLAIN SELECT * FROM cases WHERE scheduled_date = 'now'"))
        plan = "\n".join(lines)
    assert "InitPlan" in plan
    assert "Index Cond: ((clinic_id = (InitPlan 1)" in plan


def test_each_table_is_secured_for_its_owner_too_and_has_a_policy_for_each_role(
    owner: Engine,
) -> None:
    secured = text(
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity AS is_forced, ARRAY(
            SELECT polname::text FROM pg_policy WHERE polrelid = pg_class.oid ORDER BY polname
        ) AS policies
        FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
        """
    )
    with owner.connect() as connection:
        found = {row.relname: (row.is_forced, row.policies) for row in connection.execute(secured)}
    ours, others = ["pims_api", "pims_owner", "pims_service"], ["pims_owner", "pims_service"]
    expected = {
        **{table: ours if rights else others for table, rights in RIGHTS.items()},
        "pims_alembic_version": ours,
    }
    for table in CONSOLE_READS:
        by_role = [f"pims_console_{verb}" for verb in CONSOLE_WRITES.get(table, ())]
        expected[table] = sorted([*expected[table], "pims_console", *by_role])
    assert found == {table: (True, policies) for table, policies in expected.items()}
    assert set(RIGHTS) == set(metadata.tables)


def test_functions_of_the_owners_rights_are_the_apis_alone_and_search_nowhere(
    owner: Engine,
) -> None:
    functions = text(
        """
        SELECT proname, proconfig, ARRAY(
            SELECT acl.grantee::regrole::text FROM aclexplode(proacl) AS acl
            WHERE acl.grantee <> proowner
        ) AS callers
        FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace
        """
    )
    with owner.connect() as connection:
        found = {row.proname: (row.proconfig, row.callers) for row in connection.execute(functions)}
    assert {"pims_api_keys", "pims_note_api_key_use"} <= set(found)
    shared = {
        "pims_operator_clinics",
        "pims_operator_clinics_as",
        "pims_note_operator",
        "pims_find_cases",
    }
    for function in shared:
        settings, callers = found.pop(function)
        assert (settings, sorted(callers)) == (['search_path=""'], ["pims_api", "pims_console"])
    assert found == dict.fromkeys(found, (['search_path=""'], ["pims_api"]))


def test_a_callers_temporary_tables_do_not_lead_the_functions_astray(
    api: Engine, owner: Engine, stored: Mapping[str, TenantRows]
) -> None:
    kept = stored["oak-lane"]["clinic_api_keys"]
    with rolled_back(api, None) as connection:
        connection.execute(text("CREATE TEMP TABLE clinic_api_keys (id uuid, last_used_at date)"))
        connection.execute(text("SET LOCAL search_path = pg_temp, public, pims"))
        found = connection.execute(
            text("SELECT * FROM pims.pims_api_keys(:start)"), {"start": kept["key_prefix"]}
        ).one()
        assert found.id == kept["id"]
        connection.execute(text("SELECT pims.pims_note_api_key_use(:id)"), {"id": kept["id"]})
        connection.commit()
    used = select(metadata.tables["clinic_api_keys"].c.last_used_at)
    with owner.connect() as connection:
        assert connection.scalar(used.where(text("id = :id")), {"id": kept["id"]}) is not None
