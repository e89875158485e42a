"""A digest of everything in one schema: its catalog and every version of every row.

An update that changes no value gives another digest too. Which tests must leave a schema alone is
decided where databases are lent, in ``databases``.
"""

from typing import Any

import psycopg
from psycopg import sql


def schema_digest(connection: psycopg.Connection[tuple[Any, ...]], schema: str) -> str:
    """The digest of ``schema``; equal as long as nothing writes there."""
    tables = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [schema]
    ).fetchall()
    rows = [sql.SQL(" UNION ALL ") + row_versions(sql.Identifier(schema, *each)) for each in tables]
    digest = _DIGEST.format(schema=sql.Literal(schema), rows=sql.Composed(rows))
    found = connection.execute(digest).fetchone()
    assert found is not None
    return str(found[0])


def row_versions(table: sql.Identifier) -> sql.Composed:
    """A query for the rows of a table, each with its version and its place."""
    return sql.SQL("SELECT row({0}.xmin, {0}.ctid, {0}.*)::text FROM {0}").format(table)


_DIGEST = sql.SQL("""
    WITH it AS (SELECT * FROM pg_namespace WHERE nspname = {schema}),
    relation AS (SELECT pg_class.* FROM pg_class JOIN it ON it.oid = relnamespace)
    SELECT md5(string_agg(line, chr(10) ORDER BY line COLLATE "C")) FROM (
        SELECT row(oid, nspname, nspowner, nspacl)::text FROM it
        UNION ALL
        SELECT row(oid, relname, relkind, relowner, relacl, relrowsecurity, relforcerowsecurity,
                   reloptions, relhastriggers, relreplident)::text
        FROM relation
        UNION ALL
        SELECT row(attrelid, attnum, attname, atttypid, attnotnull, attacl)::text
        FROM pg_attribute JOIN relation ON relation.oid = attrelid
        UNION ALL
        SELECT row(pg_proc.oid, proname, proowner, proacl, prosrc, proconfig)::text
        FROM pg_proc JOIN it ON it.oid = pronamespace
        UNION ALL
        SELECT row(pg_type.oid, typname, typowner, typacl, enumlabel)::text
        FROM pg_type JOIN it ON it.oid = typnamespace LEFT JOIN pg_enum ON enumtypid = pg_type.oid
        UNION ALL
        SELECT row(pg_constraint.oid, pg_get_constraintdef(pg_constraint.oid))::text
        FROM pg_constraint JOIN it ON it.oid = connamespace
        UNION ALL
        SELECT row(pg_trigger.oid, tgname, tgenabled)::text
        FROM pg_trigger JOIN relation ON relation.oid = tgrelid
        UNION ALL
        SELECT row(pg_policy.oid, polroles, polqual, polwithcheck)::text
        FROM pg_policy JOIN relation ON relation.oid = polrelid
        UNION ALL
        SELECT row(pg_publication_rel.oid, prpubid)::text
        FROM pg_publication_rel JOIN relation ON relation.oid = prrelid
        {rows}
    ) AS digested (line)
""")
