"""Databases of tests: copies of a template on the test run's server, used again after emptying.

The server itself, and the fixtures that lend a database to a test, are in ``conftest``.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from pims_pipeline.store.tables.all import metadata


def address_of(database: str, url: str) -> str:
    """The address of another database on the server of ``url``."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def administer(url: str, statement: sql.Composed) -> None:
    """Execute a statement as the server's owner, outside a transaction."""
    with psycopg.connect(address_of("postgres", url), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def database_copied_from(template: str, server_url: str) -> Iterator[str]:
    """The address of a new copy of ``template``, which must have no connections; dropped after."""
    name = f"test_{secrets.token_hex(8)}"
    # Several times faster than writing the copy to the log; tests need no durability.
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    administer(server_url, copy.format(sql.Identifier(name), sql.Identifier(template)))
    yield address_of(name, server_url)
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    administer(server_url, drop.format(sql.Identifier(name)))


class Databases:
    """Migrated databases, each emptied after a test and used again.

    Emptying costs a fraction of copying. A database whose schema or rights a test changed is not
    used again.

    Args:
        server_url: The server that has them.
        stack: Drops them when it closes.
    """

    def __init__(self, server_url: str, stack: ExitStack) -> None:
        self._server_url = server_url
        self._stack = stack
        self._shapes: dict[str, str] = {}
        self._idle: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of an empty database, for the length of the block."""
        url = self._idle.pop() if self._idle else self._made()
        yield url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            if _shape(connection) == self._shapes[url]:
                _empty(connection)
                self._idle.append(url)

    def _made(self) -> str:
        url = self._stack.enter_context(database_copied_from("pims", self._server_url))
        with psycopg.connect(url, autocommit=True) as connection:
            self._shapes[url] = _shape(connection)
        return url


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SHAPE = """
    SELECT md5(string_agg(line, chr(10) ORDER BY line COLLATE "C")) FROM (
        SELECT row(oid, nspname, nspowner, nspacl)::text FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%'
        UNION ALL
        SELECT row(oid, relname, relowner, relacl, relrowsecurity, relforcerowsecurity,
                   reloptions, relhastriggers)::text
        FROM pg_class WHERE oid >= 16384 AND relkind <> 't'
        UNION ALL
        SELECT row(attrelid, attnum, attname, atttypid, attnotnull, attacl)::text
        FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL
        SELECT row(oid, adrelid, pg_get_expr(adbin, adrelid))::text FROM pg_attrdef
        UNION ALL
        SELECT row(oid, proname, proowner, proacl, prosrc)::text FROM pg_proc WHERE oid >= 16384
        UNION ALL
        SELECT row(oid, tgenabled)::text FROM pg_trigger
        UNION ALL
        SELECT row(oid, pg_get_constraintdef(oid))::text FROM pg_constraint WHERE oid >= 16384
        UNION ALL
        SELECT row(oid, polroles, polqual, polwithcheck)::text FROM pg_policy
        UNION ALL
        SELECT row(setrole, setconfig)::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL
        SELECT row(oid, defaclacl)::text FROM pg_default_acl
        UNION ALL
        SELECT version_num FROM pims_alembic_version
    ) AS shape (line)
"""
"""A digest of everything in a database but its rows."""


_LOGS = frozenset({"case_events", "credential_access_log"})
"""Append-only tables, whose trigger refuses to delete rows."""


def _shape(connection: "psycopg.Connection[tuple[str, ...]]") -> str:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    return row[0]


def _empty(connection: "psycopg.Connection[tuple[str, ...]]") -> None:
    """Remove every row, those of the append-only logs too, and restart identities at one."""
    for table in metadata.sorted_tables:
        name = sql.Identifier(table.name)
        # Without triggers and foreign keys, the order of the tables does not matter.
        delete = sql.SQL("SET session_replication_role = replica; DELETE FROM {}").format(name)
        if table.name in _LOGS:
            switch = sql.SQL("ALTER TABLE {} {} TRIGGER append_only")
            off = switch.format(name, sql.SQL("DISABLE"))
            on = switch.format(name, sql.SQL("ENABLE ALWAYS"))
            delete = sql.SQL("; ").join((off, delete, on))
        connection.execute(delete)
        for column in table.columns:
            if column.identity is not None:
                restart = "ALTER TABLE {} ALTER COLUMN {} RESTART"
                connection.execute(sql.SQL(restart).format(name, sql.Identifier(column.name)))
