"""The schema that tables go into: there, open to us, and without others' tables.

Another application may have tables of the same names as ours in ``public``. Nothing of them is
touched: the migration stops before its first statement. What a revision makes belongs in
``versions``.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.addresses.parsing import SCHEMA_NAME, is_schema_name
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database.locks import MIGRATION_LOCK
from pims_pipeline.store.database.revision import VERSION_TABLE
from pims_pipeline.store.tables.all import metadata

SETTING = "PIMS_DATABASE_SCHEMA"
_SUGGESTED = "pims"
_SHOWN = 5
"""Names of tables in a message; the others are counted."""

log = get_logger(__name__)


class SchemaNotUsable(UserFacingError):
    """The tables cannot or must not be made in the schema; nothing was changed."""


def lock_migrations(connection: Connection) -> None:
    """Queue behind other processes that make tables or schemas, until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": MIGRATION_LOCK})


def prepare_schema(connection: Connection, schema: str) -> None:
    """Make sure that our tables can be made in ``schema``; create it if it is not there.

    Args:
        connection: In a transaction, with the migration's lock; no revision was applied yet.
        schema: The first of the search path.

    Raises:
        SchemaNotUsable: If the name cannot be used, this login may not create the schema or
            tables in it, or another program has tables there under our names.
    """
    if not is_schema_name(schema):
        raise SchemaNotUsable(
            f"the tables cannot be made in the schema {schema!r}: {SETTING} must be {SCHEMA_NAME}"
        )
    create_schema(connection, schema)
    found = _rights(connection, schema)
    if not found.may_create_tables:
        raise SchemaNotUsable(
            f"this login may not create tables in the schema {schema!r}; as its owner run "
            f"GRANT USAGE, CREATE ON SCHEMA {found.quoted_schema} TO {found.quoted_login}"
        )
    names = {"schema": schema, "names": list(metadata.tables)}
    if others := connection.scalars(_NAMESAKES, names).all():
        raise SchemaNotUsable(
            f"the schema {schema!r} has tables of another program under the names of ours "
            f"({_listed(others)}); set {SETTING} to a schema for ours alone, such as "
            f"{_SUGGESTED}, and run `pims migrate` again; nothing was changed"
        )
    versions = {"schema": schema, "versions": VERSION_TABLE}
    if elsewhere := connection.scalars(_ELSEWHERE, versions).all():
        # Two installations in one database are possible, but seldom meant.
        log.warning("tables_in_another_schema", schema=schema, others=", ".join(elsewhere))


def create_schema(connection: Connection, schema: str) -> None:
    """Create ``schema`` unless it is there.

    Args:
        connection: In a transaction, with the migration's lock.
        schema: Its name.

    Raises:
        SchemaNotUsable: If this login may not create it.
    """
    found = _rights(connection, schema)
    if found.is_there:
        return
    if not found.may_create_schemas:
        raise SchemaNotUsable(
            f"there is no schema {schema!r}, and this login may not create it; as the database's "
            f"owner run CREATE SCHEMA {found.quoted_schema} AUTHORIZATION {found.quoted_login}"
        )
    connection.execute(text(f"CREATE SCHEMA {found.quoted_schema}"))


def _rights(connection: Connection, schema: str) -> Row[Any]:
    return connection.execute(_RIGHTS, {"schema": schema}).one()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


_RIGHTS = text("""
    SELECT
        quote_ident(current_user) AS quoted_login,
        quote_ident(wanted.name) AS quoted_schema,
        namespace.oid IS NOT NULL AS is_there,
        has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
        has_schema_privilege(namespace.oid, 'USAGE')
            AND has_schema_privilege(namespace.oid, 'CREATE') AS may_create_tables
    FROM (VALUES (CAST(:schema AS name))) AS wanted (name)
    LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.name
""")
_NAMESAKES = text("""
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = :schema AND relname = ANY (:names)
    ORDER BY relname
""")
_ELSEWHERE = text("""
    SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname <> :schema AND relname = :versions
    ORDER BY nspname
""")
