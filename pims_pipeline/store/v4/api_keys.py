"""The API keys of a v4.0 installation, as its table ``clinic_api_keys`` holds them; reads only.

Both layouts have a table of that name, distinguished by its columns: keys belong to clinics or to
users, and are stored as hashes, in clear, or both. The text of a key in clear never leaves the
database: it hashes it. What is imported is decided in ``domain.adoption.api_keys``.
"""

import re
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects import postgresql

from pims_pipeline.domain.adoption.api_keys import ClearKey, V4ApiKey
from pims_pipeline.domain.api_keys import SHORTEST_PREFIX
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.cases.metadata import json_value

TABLE = "clinic_api_keys"
_quote = postgresql.dialect().identifier_preparer.quote_identifier  # type: ignore[no-untyped-call]


class NoV4ApiKeys(UserFacingError):
    """There is no table of keys of a v4.0 installation that can be read completely."""


_TABLE_OF = text(
    """
    SELECT
        current_user AS reader,
        nspname = current_schema() AS is_ours,
        has_schema_privilege(pg_namespace.oid, 'USAGE')
            AND has_table_privilege(pg_class.oid, 'SELECT') AS may_read,
        row_security_active(pg_class.oid) AS hides_rows,
        ARRAY(
            SELECT attname::text FROM pg_attribute
            WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        ) AS columns
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = :schema AND relname = :name AND relkind IN ('r', 'p', 'v', 'm', 'f')
    """
)


def v4_api_keys(connection: Connection, schema: str) -> list[V4ApiKey]:
    """All keys of the installation, oldest first.

    Args:
        connection: In a transaction.
        schema: Where its tables are.

    Raises:
        NoV4ApiKeys: If there is no such table, if it is our own, or if the role may not read all
            of its rows.
    """
    columns = _readable_columns(connection, schema)
    return [_key(row) for row in connection.execute(text(_query(schema, columns)))]


def _readable_columns(connection: Connection, schema: str) -> frozenset[str]:
    found = connection.execute(_TABLE_OF, {"schema": schema, "name": TABLE}).one_or_none()
    where = f"{_quote(schema)}.{TABLE}"
    if found is None:
        raise NoV4ApiKeys(
            f"there is no table {where}; name the schema of the v4.0 installation with --schema"
        )
    if found.is_ours:
        raise NoV4ApiKeys(
            f"the table {where} is this pipeline's own; name the schema of the v4.0 installation "
            "with --schema"
        )
    if not found.may_read:
        reader = _quote(found.reader)
        raise NoV4ApiKeys(
            f"{found.reader!r} may not read {where}; as its owner: GRANT USAGE ON SCHEMA "
            f"{_quote(schema)} TO {reader}; GRANT SELECT ON {where} TO {reader}"
        )
    if found.hides_rows:
        raise NoV4ApiKeys(
            f"row-level security hides rows of {where} from {found.reader!r}; connect as its "
            "owner, or as a role with BYPASSRLS (on Supabase, postgres or service_role)"
        )
    columns = frozenset(found.columns)
    if "id" not in columns or not ({"key_hash", "key_prefix"} <= columns or "api_key" in columns):
        raise NoV4ApiKeys(
            f"the table {where} is not that of a v4.0 installation: it has neither key_hash and "
            "key_prefix, nor api_key"
        )
    return columns


def _query(schema: str, columns: Collection[str]) -> str:
    def column(name: str, kind: str, otherwise: str = "NULL") -> str:
        return f"{_quote(name)}::{kind}" if name in columns else f"{otherwise}::{kind}"

    def moment(name: str) -> str:
        # Python has no infinite times, and none after the year 9999.
        time = column(name, "timestamptz")
        return (
            f"CASE WHEN {time} < '1970-01-01' THEN timestamptz 'epoch' "
            f"WHEN {time} < '9999-01-01' THEN {time} END AS {name}"
        )

    # Of an array, JSON or a text.
    permissions = (
        f"CAST(to_jsonb({_quote('permissions')}) AS text)"
        if "permissions" in columns
        else "NULL::text"
    )
    clear = f"nullif({column('api_key', 'text')}, '')"
    # SQLAlchemy takes a colon for the start of a parameter.
    where = f"{_quote(schema)}.{TABLE}".replace(":", r"\:")
    return f"""
        SELECT
            id::text, {column("name", "text")} AS name, {column("user_id", "text")} AS user_id,
            {column("clinic_id", "uuid")} AS clinic_id,
            {column("key_prefix", "text")} AS key_prefix,
            lower({column("key_hash", "text")}) AS key_hash,
            encode(sha256(convert_to({clear}, 'UTF8')), 'hex') AS clear_hash,
            left({clear}, {SHORTEST_PREFIX}) AS clear_start, length({clear}) AS clear_length,
            {permissions} AS permissions,
            coalesce({column("is_active", "boolean", "true")}, false) AS is_active,
            {moment("expires_at")}, {moment("last_used_at")}, {moment("created_at")}
        FROM {where}
        ORDER BY {column("created_at", "timestamptz")}, 1
    """  # noqa: S608 - names of columns, and the quoted schema


def _key(row: Row[Any]) -> V4ApiKey:
    clear = None
    if row.clear_hash is not None:
        clear = ClearKey(hash=row.clear_hash, start=row.clear_start, length=row.clear_length)
    return V4ApiKey(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        clinic_id=row.clinic_id,
        prefix=row.key_prefix,
        key_hash=row.key_hash,
        clear=clear,
        permissions=_permissions(json_value(row.permissions)),
        is_active=row.is_active,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )


def _permissions(stored: Any) -> tuple[str, ...] | None:
    """The names; a text has them with commas between, as JSON, or as Postgres writes an array.

    What holds nothing valid must not become the empty list, which allows everything.
    """
    if stored is None:
        return None
    if isinstance(stored, str):
        stored = re.findall(r'[^\s,"{}\[\]]+', stored) or [""]
    if not isinstance(stored, list):
        return ("",)
    return tuple(each if isinstance(each, str) else "" for each in stored)
