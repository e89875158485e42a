"""Check that the tables are up to date, without Alembic, which takes long to import.

All commands check; the revisions themselves are applied in ``migrate``.
"""

from pathlib import Path

from psycopg.errors import UndefinedTable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import transaction

VERSION_TABLE = "pims_alembic_version"
"""Where Alembic keeps the revision of the tables."""

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
    wanted = newest_revision()
    if current != [wanted]:
        raise DatabaseNotMigrated(
            f"the database is at {', '.join(current) or 'no revision'} and this program needs "
            f"{wanted}; run `pims migrate`"
        )


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
