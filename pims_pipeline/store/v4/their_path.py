"""The search path under which their tables are written, and how their refusals are reported.

Every write to a table of theirs goes through ``at_theirs``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.v4.installation import Installation, quoted

_OF_THE_SESSION = ("08", "25", "26", "40", "53", "55P03", "57", "58", "XX")
"""SQLSTATEs, or their classes, that say nothing about what is written.

By any other the tables refuse it: a trigger may raise codes of its own.
"""


class ApplicationRefused(UserFacingError):
    """The application's tables refuse a write: a constraint or a trigger of theirs."""


@contextmanager
def at_theirs(connection: Connection, installation: Installation) -> Iterator[str]:
    """Let their triggers find their own tables by name; yields the schema of ours.

    With our schema first, a trigger that changes ``cases`` would change ours.
    """
    ours = str(connection.scalar(text("SELECT current_schema()")))
    path = str(connection.scalar(text("SELECT current_setting('search_path')")))
    _set_path(connection, f"{quoted(installation.schema)}, public, extensions, pg_temp")
    try:
        yield ours
        # Before our search path is back: what they deferred to the commit.
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    except DBAPIError as error:
        if (refusal := _refusal(error, installation)) is not None:
            raise refusal from None
        raise
    _set_path(connection, path)


def _set_path(connection: Connection, path: str) -> None:
    connection.execute(
        text("SELECT set_config('search_path', :path, true)"), {"path": path.replace("\\:", ":")}
    )


def _refusal(error: DBAPIError, installation: Installation) -> ApplicationRefused | None:
    """What to raise for an error of the data; its own message may quote personal data."""
    original = error.orig
    if not isinstance(original, psycopg.Error) or original.sqlstate is None:
        return None
    if original.sqlstate.startswith(_OF_THE_SESSION):
        return None
    where = original.diag.table_name or "a table"
    by = original.diag.constraint_name or original.diag.column_name
    return ApplicationRefused(
        f"the application's tables refuse a write to {installation.schema}.{where}"
        + (f" by {by}" if by else "")
        + f" (SQLSTATE {original.sqlstate}); nothing was written; compare that constraint or "
        "trigger with what a sync writes: docs/adopting.md, “What is written”"
    )
