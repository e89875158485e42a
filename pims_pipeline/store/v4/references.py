"""What refers to their cases: any foreign key to ``cases (id)``, as the catalog has it.

Of duplicates the application's other rows show which case is in use. ``patients`` is left out: in
the deployed layout every case has a row there.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.store.database.batches import array_literal
from pims_pipeline.store.v4.installation import Installation, quoted, require_rights_on

_PART_OF_A_CASE = {Layout.DEPLOYED: "patients", Layout.DOCUMENTED: ""}


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that refers to their cases."""

    schema: str
    table: str
    column: str


def references_to_cases(connection: Connection, installation: Installation) -> list[Reference]:
    """Every column with a foreign key to the id of a case, in any schema."""
    rows = connection.execute(
        text(
            """
            SELECT ns.nspname AS schema, rel.relname AS name, col.attname AS column_name
            FROM pg_catalog.pg_constraint AS con
            JOIN pg_catalog.pg_class AS target ON target.oid = con.confrelid
            JOIN pg_catalog.pg_namespace AS target_ns ON target_ns.oid = target.relnamespace
            JOIN pg_catalog.pg_attribute AS target_col
              ON target_col.attrelid = con.confrelid AND con.confkey = ARRAY[target_col.attnum]
            JOIN pg_catalog.pg_class AS rel ON rel.oid = con.conrelid
            JOIN pg_catalog.pg_namespace AS ns ON ns.oid = rel.relnamespace
            JOIN pg_catalog.pg_attribute AS col
              ON col.attrelid = con.conrelid AND con.conkey = ARRAY[col.attnum]
            WHERE con.contype = 'f' AND con.conparentid = 0
              AND target_ns.nspname = :schema AND target.relname = 'cases'
              AND target_col.attname = 'id'
            ORDER BY 1, 2, 3
            """
        ),
        {"schema": installation.schema},
    )
    part = _PART_OF_A_CASE[installation.layout]
    return [
        Reference(row.schema, row.name, row.column_name)
        for row in rows
        if not (row.schema == installation.schema and row.name == part)
    ]


def reference_counts(
    connection: Connection, installation: Installation, case_ids: Collection[UUID]
) -> Counter[UUID]:
    """By case how many rows of other tables refer to it; those without any are absent.

    Raises:
        MissingRight: If the login may not read one of those tables.
    """
    counts: Counter[UUID] = Counter()
    if not case_ids:
        return counts
    ids = array_literal(case_ids)
    for reference in references_to_cases(connection, installation):
        require_rights_on(connection, reference.schema, reference.table, ["SELECT"])
        column = quoted(reference.column)
        rows = connection.execute(
            text(
                f"SELECT {column} AS case_id, count(*) AS rows "  # noqa: S608 - quoted
                f"FROM {quoted(reference.schema)}.{quoted(reference.table)} "
                f"WHERE {column} = ANY(CAST(:ids AS uuid[])) GROUP BY {column}"
            ),
            {"ids": ids},
        )
        counts.update({row.case_id: row.rows for row in rows})
    return counts
