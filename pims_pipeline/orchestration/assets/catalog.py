"""How things are presented in the Dagster UI: groups, owners, documents, tables' columns.

What they do stands in the modules that define them.
"""

import dagster as dg

from pims_pipeline.store.tables.descriptions import table_columns

SYNC = "pims"
"""The group of everything that a clinic's day flows through."""

OPERATIONS = "operations"
"""The group of what keeps that going, and tells how it went."""

OWNERS = ["team:platform"]

RUNBOOK = "docs/runbook.md"
ARCHITECTURE = "docs/architecture.md"


def documents(*places: str) -> dict[str, dg.MetadataValue]:
    """Where to read on: paths in the repository, which has no public address to link to."""
    return {"documents": dg.MetadataValue.text(", ".join(places))}


def what_to_do(heading: str) -> str:
    """The sentence that leads a reader of the pages to the runbook."""
    return f"What to do: {RUNBOOK}, heading “{heading}”."


def table_schema(table: str) -> dg.TableSchema:
    """The columns of one of our tables, as the pages show them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=column.unique
                ),
            )
            for column in table_columns(table)
        ]
    )


def written(*tables: str) -> dict[str, object]:
    """What an asset tells of the tables it writes; the first one's columns are shown."""
    return {
        "dagster/column_schema": table_schema(tables[0]),
        "writes": dg.MetadataValue.text(", ".join(tables)),
    }


def kept(table: str) -> dict[str, object]:
    """What marks an asset as a table of ours, with its columns."""
    return {"dagster/column_schema": table_schema(table), "dagster/table_name": table}
