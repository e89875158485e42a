"""On a host that grants everything to its other roles, they see and change nothing."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.store.database.row_trials import REFUSED, SLUGS, RowTrial
from pims_pipeline_tests.store.embedded.servers import own_server
from pims_pipeline_tests.store.tenant_rows import add_tenant

LOGS = (
    "case_events",
    "credential_access_log",
    "adoption_steps",
    "application_writes",
    "clinic_words",
    "operator_log",
)
"""Their triggers refuse a change also of no row."""


@pytest.fixture
def hosted() -> Iterator[tuple[str, str]]:
    """Addresses as ``keeper`` and as ``visitor`` of a database like a host's.

    ``keeper`` owns it, may create roles and bypasses row-level security, but is no superuser;
    whatever it makes is granted to ``visitor`` by default.
    """
    with own_server(postgres_version=16) as own:
        url = make_url(own).set(database="hosted")
        boss = create_engine(own)
        with boss.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in (
                "CREATE ROLE keeper LOGIN CREATEROLE BYPASSRLS",
                "CREATE ROLE visitor LOGIN",
                "CREATE DATABASE hosted OWNER keeper",
            ):
                connection.execute(text(statement))
        boss.dispose()
        keeper, visitor = (
            url.set(username=name).render_as_string(hide_password=False)
            for name in ("keeper", "visitor")
        )
        engine = create_engine(keeper)
        with transaction(engine) as connection:
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
                connection.execute(text(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO visitor"))
        engine.dispose()
        yield keeper, visitor


def test_on_a_host_that_grants_everything_to_visitors_they_see_and_change_nothing(
    hosted: tuple[str, str],
) -> None:
    keeper, visitor = map(create_engine, hosted)
    assert migrate(keeper)
    with transaction(keeper) as connection:
        stored = {slug: add_tenant(connection, slug) for slug in SLUGS}
        connection.execute(text("CREATE ROLE client LOGIN IN ROLE pims_api"))
    for setting in (None, str(stored["oak-lane"]["clinics"]["id"])):
        trial = RowTrial(visitor, setting, stored)
        for table in metadata.tables:
            for verb in ("SELECT", "UPDATE", "DELETE"):
                if verb == "SELECT" or table not in LOGS:
                    assert (table, verb, trial.outcome(table, verb)) == (table, verb, set())
            assert trial.outcome(table, "INSERT") == dict.fromkeys(SLUGS, REFUSED)
    for statement in (
        "TRUNCATE pims_alembic_version",
        "CREATE TABLE mine (clinic_id uuid REFERENCES clinics)",
        "SELECT * FROM pims_api_keys('12345678')",
        "SELECT pims_note_api_key_use(gen_random_uuid())",
        "SELECT pims_grant_api()",
    ):
        with pytest.raises(DBAPIError, match=r"\[42501"), visitor.begin() as connection:
            connection.execute(text(statement))
    with visitor.begin() as connection:
        assert connection.execute(text("DELETE FROM pims_alembic_version")).rowcount == 0

    client = create_engine(make_url(hosted[0]).set(username="client").render_as_string())
    assert RowTrial(client, str(stored["oak-lane"]["clinics"]["id"]), stored).outcome(
        "cases", "SELECT"
    ) == {"oak-lane"}
    for engine in (keeper, visitor, client):
        engine.dispose()
