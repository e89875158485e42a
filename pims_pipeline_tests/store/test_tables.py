"""``tables.all`` knows every table, and descriptions cover every column of their tables."""

import pkgutil
import re

from pims_pipeline.store import tables
from pims_pipeline.store.tables.all import AREAS, metadata
from pims_pipeline.store.tables.descriptions import DESCRIBED, table_columns
from pims_pipeline_tests.test_repository import FILES, ROOT

IMPORT = re.compile(r"^from pims_pipeline\.store\.tables\.columns import", re.MULTILINE)
NO_AREAS = {"all", "columns", "descriptions"}


def test_every_area_belongs_to_the_whole() -> None:
    areas = {module.name for module in pkgutil.iter_modules(tables.__path__)} - NO_AREAS
    assert areas == {area.__name__.rpartition(".")[2] for area in AREAS}


def test_only_the_areas_import_the_metadata_that_may_lack_tables() -> None:
    importers = [
        path
        for path in FILES
        if path.suffix == ".py"
        and not path.is_relative_to(ROOT / "pims_pipeline" / "store" / "tables")
        and IMPORT.search(path.read_text(encoding="utf-8"))
    ]
    assert importers == []


def test_every_column_of_a_described_table_is_described_and_no_other() -> None:
    described = {table: set(columns) for table, columns in DESCRIBED.items()}
    assert described == {table: set(metadata.tables[table].columns.keys()) for table in DESCRIBED}


def test_types_and_keys_are_those_of_the_table() -> None:
    columns = {column.name: column for column in table_columns("cases")}
    assert columns["metadata"].type == "jsonb"
    assert columns["scheduled_start"].type == "timestamp with time zone"
    assert (columns["pims_id"].nullable, columns["clinic_id"].nullable) == (True, False)
    assert [name for name, column in columns.items() if column.unique] == ["id"]
