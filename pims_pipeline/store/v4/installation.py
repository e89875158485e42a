"""Find a v4.0 installation in a schema, which layout it has, and whether we may use its tables.

The layout is recognized by columns. Everything is read from the catalog, which shows columns
whatever the rights on their table. Add a table of theirs to ``TABLES``; reading its rows belongs in
the module of its noun.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, text

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.errors import UserFacingError

DEFAULT_SCHEMA = "public"

TABLES: Mapping[Layout, Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        Layout.DEPLOYED: {
            "clinics": frozenset({"id", "name"}),
            "cases": frozenset(
                {
                    "id",
                    "clinic_id",
                    "external_id",
                    "source",
                    "scheduled_at",
                    "type",
                    "status",
                    "visibility",
                    "metadata",
                    "created_at",
                    "updated_at",
                }
            ),
            "patients": frozenset({"id", "case_id", "name"}),
            "case_sync_audits": frozenset({"id", "sync_type", "status"}),
            "clinic_api_keys": frozenset({"id"}),
            "idexx_credentials": frozenset(
                {
                    "id",
                    "clinic_id",
                    "username_encrypted",
                    "password_encrypted",
                    "company_id_encrypted",
                    "encryption_key_id",
                }
            ),
            "clinic_schedule_config": frozenset({"clinic_id", "sync_schedules"}),
        },
        Layout.DOCUMENTED: {
            "clinics": frozenset({"id", "name"}),
            "cases": frozenset(
                {
                    "id",
                    "clinic_id",
                    "pims_id",
                    "patient_name",
                    "client_name",
                    "scheduled_date",
                    "status",
                    "case_type",
                    "visibility",
                    "metadata",
                    "created_at",
                    "updated_at",
                }
            ),
            "case_sync_audits": frozenset({"id", "clinic_id", "sync_type", "status"}),
            "clinic_api_keys": frozenset({"id", "clinic_id"}),
            "pims_credentials": frozenset({"id", "clinic_id", "encrypted_data"}),
            "clinic_schedule_configs": frozenset({"clinic_id", "sync_schedules"}),
        },
    }
)
"""By layout and table the columns that adoption cannot do without."""

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "id": "uuid",
        "clinic_id": "uuid",
        "scheduled_at": "timestamp with time zone",
        "scheduled_date": "date",
        "metadata": "jsonb",
    }
)
"""The types of columns of ``cases`` that would be misread as another type."""
_MARKS: Mapping[Layout, frozenset[str]] = MappingProxyType(
    {
        Layout.DEPLOYED: frozenset({"external_id", "scheduled_at", "source"}),
        Layout.DOCUMENTED: frozenset({"pims_id", "patient_name", "scheduled_date", "case_type"}),
    }
)
"""The columns of ``cases`` by which a layout is recognized."""
_OURS = "provider_type"
"""A column of ``cases`` in our own tables alone."""


class NotAV4Installation(UserFacingError):
    """The schema does not hold the tables of a v4.0 installation."""


class MissingRight(UserFacingError):
    """The database login lacks a right on one of their tables."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The tables of a v4.0 installation.

    Attributes:
        schema: Where they are.
        columns: The columns of each of their tables that the layout knows and that exists.
    """

    layout: Layout
    schema: str
    columns: Mapping[str, frozenset[str]]

    def table(self, name: str) -> str:
        """The table with its schema, quoted for a statement passed to ``text``."""
        return f"{quoted(self.schema)}.{quoted(name)}"

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether the table exists, and with the column, if one is given."""
        columns = self.columns.get(table)
        return columns is not None and (column is None or column in columns)

    def column(self, table: str, alias: str, column: str, kind: str = "text") -> str:
        """``alias.column``, or a NULL of that type where their table has no such column."""
        if self.has(table, column):
            return f"{alias}.{quoted(column)}"
        return f"CAST(NULL AS {kind})"


def quoted(name: str) -> str:
    """The identifier in quotes, for a statement passed to ``text``."""
    return '"' + name.replace('"', '""').replace(":", "\\:") + '"'


def moment(value: str) -> str:
    """SQL for a time or date of theirs, NULL where Python cannot hold it in every time zone.

    Postgres has infinite ones, and years before the first and after 9999.
    """
    return f"CASE WHEN {value} >= '0002-01-01' AND {value} < '9999-01-01' THEN {value} END"


def find_installation(connection: Connection, schema: str = DEFAULT_SCHEMA) -> Installation:
    """The v4.0 installation in that schema, recognized by the columns of its tables.

    Raises:
        NotAV4Installation: If the schema has neither layout; says what was looked for.
    """
    types = _column_types(connection, schema)
    found = {table: frozenset(columns) for table, columns in types.items()}
    cases = found.get("cases", frozenset())
    if _OURS in cases:
        raise NotAV4Installation(
            f"schema {schema!r} holds this pipeline's own tables, not those of a v4.0 "
            "installation; name the schema of those with --schema"
        )
    layout = next((layout for layout, marks in _MARKS.items() if marks <= cases), None)
    if layout is None:
        raise _not_found(schema, cases)
    wanted = TABLES[layout]
    for table, columns in wanted.items():
        if table in found and (missing := columns - found[table]):
            raise NotAV4Installation(
                f"{schema}.{table} is not as the {layout} layout of a v4.0 installation has it: "
                f"column {', '.join(sorted(missing))} is missing; nothing was changed"
            )
    if "clinics" not in found:
        raise NotAV4Installation(f"schema {schema!r} has no table clinics; nothing was changed")
    for column, kind in types["cases"].items():
        if kind != _TYPES.get(column, kind):
            raise NotAV4Installation(
                f"{schema}.cases is not as a v4.0 installation has it: column {column} is {kind}, "
                f"not {_TYPES[column]}; nothing was changed"
            )
    return Installation(layout, schema, {name: found[name] for name in wanted if name in found})


def _not_found(schema: str, cases: Collection[str]) -> NotAV4Installation:
    looked_for = " or ".join(
        f"{', '.join(sorted(marks))} ({layout} layout)" for layout, marks in _MARKS.items()
    )
    there = "has other columns" if cases else "does not exist"
    return NotAV4Installation(
        f"no v4.0 installation in schema {schema!r}: a table cases with the columns {looked_for} "
        f"was looked for, but {schema}.cases {there}; name another schema with --schema"
    )


def _column_types(connection: Connection, schema: str) -> dict[str, dict[str, str]]:
    """By table and column the type, as the database names it."""
    names = {name for tables in TABLES.values() for name in tables}
    rows = connection.execute(
        text(
            """
            SELECT c.relname AS name, json_object_agg(
                a.attname, format_type(a.atttypid, NULL) ORDER BY a.attnum) AS types
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
            WHERE n.nspname = :schema AND c.relname = ANY(:names)
              AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
              AND a.attnum > 0 AND NOT a.attisdropped
            GROUP BY c.relname
            """
        ),
        {"schema": schema, "names": sorted(names)},
    )
    return {row.name: row.types for row in rows}


def read_only(connection: Connection) -> None:
    """Let the transaction write nothing from here on."""
    connection.execute(text("SET TRANSACTION READ ONLY"))


def read_snapshot(connection: Connection) -> None:
    """Let the transaction write nothing and read the rows of one moment; its first statement."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def require_rights(
    connection: Connection, installation: Installation, tables: Mapping[str, Collection[str]]
) -> None:
    """Check that the login has these rights on their tables, and sees all of their rows.

    Policies that hide rows would make a clinic look empty, so they count as a missing right.

    Args:
        connection: In a transaction.
        installation: Whose tables.
        tables: By table the rights, such as ``{"cases": ["SELECT"]}``. A table that does not
            exist is left out.

    Raises:
        MissingRight: If one is missing; says the statement that grants it.
    """
    for table, rights in tables.items():
        if installation.has(table):
            require_rights_on(connection, installation.schema, table, rights)


def require_rights_on(
    connection: Connection, schema: str, table: str, rights: Collection[str]
) -> None:
    """Check that the login has these rights on one table, and sees all of its rows.

    Raises:
        MissingRight: If not; says the statement that grants it.
    """
    row = connection.execute(
        text(
            """
            SELECT CAST(current_user AS text) AS login,
                has_schema_privilege(n.oid, 'USAGE') AS enters,
                ARRAY(SELECT wanted FROM unnest(CAST(:rights AS text[])) AS wanted
                      WHERE NOT has_table_privilege(c.oid, wanted)) AS missing,
                row_security_active(c.oid) AS is_filtered
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = :schema AND c.relname = :name
            """
        ),
        {"schema": schema, "name": table, "rights": list(rights)},
    ).one()
    login = _shown(row.login)
    if not row.enters:
        raise _missing(f"USAGE ON SCHEMA {_shown(schema)}", login)
    if row.missing:
        where = f"{_shown(schema)}.{_shown(table)}"
        raise _missing(f"{', '.join(row.missing)} ON {where}", login)
    if row.is_filtered:
        raise MissingRight(
            f"row-level security hides rows of {schema}.{table} from the database login "
            f"{row.login}; use a login that passes it (the service role), or run as a "
            f"superuser: ALTER ROLE {login} BYPASSRLS; nothing was changed"
        )


def _shown(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _missing(right: str, login: str) -> MissingRight:
    return MissingRight(
        f"the database login lacks a right on the v4.0 tables; as their owner run: "
        f"GRANT {right} TO {login}; nothing was changed"
    )
