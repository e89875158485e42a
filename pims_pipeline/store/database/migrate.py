"""Bring the tables up to date, with Alembic.

The revisions are in ``store/migrations``; Dagster's own tables are Dagster's to migrate. The check
that the tables are up to date belongs in ``revision``, which works without Alembic.
"""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from pims_pipeline.store.database.engine import schema_of, transaction
from pims_pipeline.store.database.locks import MIGRATION_LOCK_SECONDS
from pims_pipeline.store.database.revision import VERSION_TABLE, DatabaseNotMigrated
from pims_pipeline.store.migrations.former_revisions import unknown_revision_problem
from pims_pipeline.store.migrations.target_schema import lock_migrations, prepare_schema


def alembic_config() -> Config:
    """Alembic's configuration, which names our migrations."""
    config = Config()
    # A percent sign in a path would be taken for an interpolation.
    migrations = str(Path(__file__).parents[1] / "migrations").replace("%", "%%")
    config.set_main_option("script_location", migrations)
    config.set_main_option("path_separator", "os")
    return config


def migrate(engine: Engine) -> list[str]:
    """Bring the tables up to date, in one transaction. Processes that do so at once queue.

    Creates their schema if it is not there.

    Returns:
        The revisions applied, oldest first; empty when there was nothing to do.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If this program does not know the revision of the tables.
        SchemaNotUsable: If the first revisions cannot or must not go into the schema.
    """
    applied: list[str] = []

    def note(step: MigrationInfo, **_: Any) -> None:
        applied.extend(revision for revision in step.up_revision_ids)

    config = alembic_config()
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        # A migration of a large table takes long.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        lock_migrations(connection)
        if not _check_known(connection, config):
            prepare_schema(connection, schema_of(engine))
        config.attributes.update(connection=connection, on_version_apply=note)
        command.upgrade(config, "head")
    return applied


def _check_known(connection: Connection, config: Config) -> tuple[str, ...]:
    """The revisions of the tables; none if they are not made yet."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    script = ScriptDirectory.from_config(config)
    known = {each.revision for each in script.walk_revisions()}
    current = context.get_current_heads()
    if (problem := unknown_revision_problem(set(current), known)) is not None:
        raise DatabaseNotMigrated(problem)
    return current
