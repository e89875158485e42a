"""How assets and checks are presented in the Dagster UI: groups, owners, documents, columns."""

import dagster as dg

from pims_pipeline.store.tables.descriptions import table_columns

SYNC = "pims"
"""The asset group of the sync, from the vendor to the tables."""

OPERATIONS = "operations"
"""The asset group of maintenance and reports."""

OWNERS = ["team:platform"]

RUNBOOK = "docs/runbook.md"
ARCHITECTURE = "docs/architecture.md"


def documents(*places: str) -> dict[str, dg.MetadataValue]:
    """Return metadata that names paths in the repository, which has no public address."""
    return {"documents": dg.MetadataValue.text(", ".join(places))}


def what_to_do(heading: str) -> str:
    """Return the sentence that refers to a heading of the runbook."""
    return f"What to do: {RUNBOOK}, heading “{heading}”."


def table_schema(table: str) -> dg.TableSchema:
    """Return the columns of a database table, for the Dagster UI."""
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


def written_tables(*tables: str) -> dict[str, object]:
    """Return the metadata of an asset that writes these tables; shows the first one's columns."""
    return {
        "dagster/column_schema": table_schema(tables[0]),
        "writes": dg.MetadataValue.text(", ".join(tables)),
    }


def table_metadata(table: str) -> dict[str, object]:
    """Return the metadata of an asset that is a database table."""
    return {"dagster/column_schema": table_schema(table), "dagster/table_name": table}
