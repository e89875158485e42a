"""Databases of tests: copies of a template on the test run's server, used again after emptying.

Their engines are used again as well.

The server itself, and the fixtures that lend a database to a test, are in ``conftest``.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine, make_url

from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.adoption.schema_digest import row_versions, schema_digest

OUR_SCHEMA = "pims"
"""Where our tables are in databases whose ``public`` holds another application's."""

_Connection = psycopg.Connection[tuple[Any, ...]]


def address_of(database: str, url: str) -> str:
    """The address of another database on the server of ``url``."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def with_options(url: str, options: str) -> str:
    """The address with further options of the server, such as ``-csearch_path=pims``."""
    parsed = make_url(url)
    former = parsed.query.get("options", "")
    assert isinstance(former, str)
    wanted = f"{former} {options}".strip()
    return parsed.update_query_dict({"options": wanted}).render_as_string(hide_password=False)


def in_our_schema(url: str) -> str:
    """The address with our schema, written so that libpq reads it as well as we do."""
    return with_options(url, f"-csearch_path={OUR_SCHEMA}")


def in_another_schema(url: str, schema: str) -> str:
    """The address with another schema, as Prisma writes it, in place of the one it names."""
    parsed = make_url(url).difference_update_query(["options"])
    return parsed.update_query_dict({"schema": schema}).render_as_string(hide_password=False)


def administer(url: str, statement: sql.Composed) -> None:
    """Execute a statement as the server's owner, outside a transaction."""
    with psycopg.connect(address_of("postgres", url), autocommit=True) as connection:
        connection.execute(statement)


def copy_database(template: str, name: str, server_url: str) -> None:
    """Create a database as a copy of ``template``, which must have no connections."""
    # Several times faster than writing the copy to the log; tests need no durability.
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    administer(server_url, copy.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def database_copied_from(template: str, server_url: str) -> Iterator[str]:
    """The address of a new copy of ``template``, which must have no connections; dropped after."""
    name = f"test_{secrets.token_hex(8)}"
    copy_database(template, name, server_url)
    yield address_of(name, server_url)
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    administer(server_url, drop.format(sql.Identifier(name)))


class Databases:
    """Copies of one template, each emptied after a test and used again.

    Emptying costs a fraction of copying. A database whose schema or rights a test changed is not
    used again.

    Args:
        template: What is copied; it must have no connections.
        server_url: The server that has them.
        stack: Drops them when it closes.
        others: A schema of another application; a test that writes there fails.
    """

    def __init__(
        self, template: str, server_url: str, stack: ExitStack, *, others: str | None = None
    ) -> None:
        self._template = template
        self._server_url = server_url
        self._stack = stack
        self._others = others
        self._idle: list[_Database] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of a database as the template is, for the length of the block."""
        database = self._idle.pop() if self._idle else self._made()
        yield database.url
        if database.emptied():
            self._idle.append(database)
        else:
            database.close()

    def _made(self) -> "_Database":
        url = self._stack.enter_context(database_copied_from(self._template, self._server_url))
        database = _Database(url, self._others)
        self._stack.callback(database.close)
        return database


class Engines:
    """Engines by address and options; no connection outlives its use.

    SQLAlchemy keeps with an engine what it asked the server and the statements that it compiled, so
    that the tests of one database do this once.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Engine] = {}

    def create(self, url: str, **options: Any) -> Engine:
        """See ``create_engine``. Listeners that are added to the engine are not kept."""
        key = (url, *sorted(options.items()))
        if key not in self._kept:
            self._kept[key] = create_engine(url, **options)
        return self._kept[key].execution_options()

    @contextmanager
    def lent(self, url: str, **options: Any) -> Iterator[Engine]:
        """An engine for the length of the block."""
        engine = self.create(url, **options)
        try:
            yield engine
        finally:
            engine.dispose()


class _Database:
    """A copy of the template, and how it was before the first test.

    Its connection stays open between tests: a new one reads the catalogs again, which takes longer
    than emptying.
    """

    def __init__(self, url: str, others: str | None) -> None:
        self.url = url
        self._others = others
        self._connection = _connected(url)
        tables = _tables(self._connection)
        theirs = [] if others is None else _tables(self._connection, others)
        filled = _filled(self._connection, [each for each in tables if each not in theirs])
        self._kept = tuple(table for table in tables if table in (*filled, *theirs))
        self._emptied = tuple(table for table in tables if table not in self._kept)
        self._append_only = _append_only(self._connection)
        self._shape = self._current_shape()
        self._digest = self._digest_of_others()

    def close(self) -> None:
        self._connection.close()

    def emptied(self) -> bool:
        """End other sessions and remove rows; False if it is not as the template any more.

        Raises:
            AssertionError: If something wrote to the schema of the other application.
        """
        if self._connection.closed or not _is_usable(self._connection):
            self._connection = _connected(self.url)
        _end_others(self._connection)
        if self._current_shape() != self._shape:
            unchanged = self._digest_of_others() == self._digest
            if not unchanged:
                self.close()
            assert unchanged, f"the test changed the schema {self._others} of another application"
            return False
        _empty(self._connection, _filled(self._connection, self._emptied), self._append_only)
        self._connection.execute(_RESTART)
        return True

    def _current_shape(self) -> list[tuple[Any, ...]]:
        """A digest of everything but the rows of the tables that were empty."""
        rows = map(row_versions, self._kept)
        shape = _SHAPE.format(kept=sql.SQL(" UNION ALL ").join(rows))
        return self._connection.execute(shape).fetchall()

    def _digest_of_others(self) -> str | None:
        return None if self._others is None else schema_digest(self._connection, self._others)


def _connected(url: str) -> _Connection:
    return psycopg.connect(url, autocommit=True)


def _is_usable(connection: _Connection) -> bool:
    try:
        connection.execute("SELECT")
    except psycopg.Error:
        return False
    return True


def _tables(connection: _Connection, schema: str | None = None) -> list[sql.Identifier]:
    """All tables but the system's, or those of one schema."""
    names = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%%' "
        "AND schemaname <> 'information_schema' AND schemaname = coalesce(%s, schemaname) "
        "ORDER BY 1, 2",
        [schema],
    )
    return [sql.Identifier(*each) for each in names]


def _filled(connection: _Connection, tables: Sequence[sql.Identifier]) -> list[sql.Identifier]:
    """Those of the tables that have rows."""
    questions = [sql.SQL("EXISTS (SELECT FROM {})").format(table) for table in tables]
    row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(questions))).fetchone()
    assert row is not None
    return [table for table, has_rows in zip(tables, row, strict=True) if has_rows]


_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_END_SECONDS = 5.0
_SHAPE = sql.SQL("""
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
        SELECT row(oid, prpubid, prrelid)::text FROM pg_publication_rel
        UNION ALL
        {kept}
    ) AS shape (line)
""")
"""A digest of a database without its rows, except those of the tables ``kept``."""


_RESTART = """
    SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
"""


def _end_others(connection: _Connection) -> None:
    """End the database's other sessions, most of which are about to end by themselves.

    The server's own wait for their end looks ten times a second, which is longer than most tests.
    """
    deadline, pause = time.monotonic() + _END_SECONDS, Event()
    while connection.execute(_END_OTHERS).fetchall() and time.monotonic() < deadline:
        pause.wait(0.001)


def _append_only(connection: _Connection) -> list[sql.Identifier]:
    """Our logs, whose trigger refuses to delete rows."""
    names = connection.execute(
        "SELECT nspname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE tgname = 'append_only'"
    )
    return [sql.Identifier(*each) for each in names]


def _empty(
    connection: _Connection, tables: Sequence[sql.Identifier], logs: Sequence[sql.Identifier]
) -> None:
    """Remove every row of the tables, those of the append-only logs too."""
    # Without triggers and foreign keys, the order of the tables does not matter.
    statements: list[sql.Composable] = [sql.SQL("SET session_replication_role = replica")]
    for table in tables:
        delete = sql.SQL("DELETE FROM {}").format(table)
        if table in logs:
            switch = sql.SQL("ALTER TABLE {} {} TRIGGER append_only")
            off = switch.format(table, sql.SQL("DISABLE"))
            on = switch.format(table, sql.SQL("ENABLE ALWAYS"))
            statements += [off, delete, on]
        else:
            statements.append(delete)
    connection.execute(sql.SQL("; ").join(statements))
