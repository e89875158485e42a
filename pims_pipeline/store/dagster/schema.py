"""The schema in our database that holds Dagster's own tables.

``connections`` opens the connections to it, ``sessions`` sets what they depend on.
"""

from sqlalchemy import Engine

from pims_pipeline.domain.addresses.parsing import DAGSTER_SCHEMA, parse_database_address
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import MIGRATION_LOCK_SECONDS
from pims_pipeline.store.migrations.target_schema import create_schema, lock_migrations


def dagster_storage_url(url: str) -> str:
    """The address of Dagster's own storage in the same database.

    Dagster's storage works with psycopg2 alone, and uses Alembic's default table name; so its
    tables have a schema of their own, which ``search_path`` in the address selects.

    Args:
        url: As for ``create_engine``. The result carries its password.

    Raises:
        BadDatabaseUrl: If ``url`` is not PostgreSQL's.
    """
    address = parse_database_address(url)
    return address.as_text("postgresql+psycopg2", options=(f"-csearch_path={DAGSTER_SCHEMA}",))


def ensure_dagster_schema(engine: Engine) -> None:
    """Create the schema that ``dagster_storage_url`` points into, if it is not there.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        SchemaNotUsable: If it is not there, and this login may not create it.
    """
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        # Two processes may create it at once.
        lock_migrations(connection)
        create_schema(connection, DAGSTER_SCHEMA)
