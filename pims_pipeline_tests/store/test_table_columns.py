"""What is said of columns is said of all of them, and of no others."""

from pims_pipeline.store.table_columns import DESCRIBED, table_columns
from pims_pipeline.store.tables import metadata


def test_every_column_of_a_described_table_is_described_and_no_other() -> None:
    described = {table: set(columns) for table, columns in DESCRIBED.items()}
    assert described == {table: set(metadata.tables[table].columns.keys()) for table in DESCRIBED}


def test_types_and_keys_are_those_of_the_table() -> None:
    columns = {column.name: column for column in table_columns("cases")}
    assert columns["metadata"].type == "jsonb"
    assert columns["scheduled_start"].type == "timestamp with time zone"
    assert (columns["pims_id"].nullable, columns["clinic_id"].nullable) == (True, False)
    assert [name for name, column in columns.items() if column.unique] == ["id"]
