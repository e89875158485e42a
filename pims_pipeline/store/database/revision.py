"""Check that the tables are up to date, without Alembic, which takes long to import.

All commands check; the revisions themselves are applied in ``migrate``.
"""

from pathlib import Path

from psycopg.errors import UndefinedTable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from pims_pipeline.domain.addresses.parsing import DEFAULT_SCHEMA
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import schema_of, transaction

VERSION_TABLE = "pims_alembic_version"
"""Where Alembic keeps the revision of the tables."""

_ROLES = "pims_service (the API's login: of pims_api)"
_REVISIONS = Path(__file__).parents[1] / "migrations" / "versions"


class DatabaseNotMigrated(UserFacingError):
    """The tables are not the ones that this version of the program works with."""


def newest_revision() -> str:
    """The newest revision of this program; the name of each revision's file begins with its own."""
    return max(file.name.partition("_")[0] for file in _REVISIONS.glob("[0-9]*_*.py"))


def check_migrated(engine: Engine) -> None:
    """Make sure that the tables are this program's.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If revisions are missing, or the tables are a newer program's.
    """
    with transaction(engine) as connection:
        current = revisions_of(connection)
    if current != [newest_revision()]:
        raise DatabaseNotMigrated(_problem(engine, current))


def _problem(engine: Engine, current: list[str]) -> str:
    """Why tables at the revisions ``current`` are not this program's, and what to do."""
    needs = f"and this program needs {newest_revision()}; run `pims migrate`"
    schema = schema_of(engine)
    place = "the database" if schema == DEFAULT_SCHEMA else f"the database's schema {schema!r}"
    if current:
        return f"{place} is at {', '.join(current)} {needs}"
    with transaction(engine) as connection:
        found = connection.execute(_WHERE, {"schema": schema, "versions": VERSION_TABLE}).one()
    if found.is_closed:
        return f"{place} is closed to this login; make it a member of {_ROLES}"
    elsewhere = f", or set PIMS_DATABASE_SCHEMA to where there are tables: {found.elsewhere}"
    return f"{place} is at no revision {needs}{elsewhere if found.elsewhere else ''}"


# A schema that a login may not use looks empty to it.
_WHERE = text("""
    SELECT
        EXISTS (
            SELECT FROM pg_namespace
            WHERE nspname = :schema AND NOT has_schema_privilege(oid, 'USAGE')
        ) AS is_closed,
        (
            SELECT string_agg(nspname, ', ' ORDER BY nspname)
            FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE relname = :versions AND nspname <> :schema
        ) AS elsewhere
""")


def revisions_of(connection: Connection) -> list[str]:
    """The revisions of the tables, sorted; none before the first migration."""
    statement = text(f"SELECT version_num FROM {VERSION_TABLE} ORDER BY 1")  # noqa: S608 - our table
    try:
        return list(connection.scalars(statement))
    except ProgrammingError as error:
        # Asking first whether the table is there would cost every command a round trip.
        if isinstance(error.orig, UndefinedTable):
            return []
        raise
