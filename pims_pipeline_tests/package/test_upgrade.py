"""A database of the revision before is migrated while a sync of the former version writes to it.

A run of the former version checks the revision when it starts, and may end after the migration: so
what it writes must still be possible, and what it wrote must stay.
"""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine, MetaData, Table, select, text
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.revision import VERSION_TABLE
from pims_pipeline_tests.package.test_restore import sync, synced
from pims_pipeline_tests.store.database.revisions import REVISIONS
from pims_pipeline_tests.store.database.test_migrations import downgrade
from pims_pipeline_tests.sync.bench import Bench


def former_tables(engine: Engine) -> list[Table]:
    """The tables as the former version knows them."""
    tables = MetaData()
    tables.reflect(engine)
    return [each for each in tables.sorted_tables if each.name != VERSION_TABLE]


def rows(connection: Connection, table: Table) -> list[tuple[object, ...]]:
    """The rows, in the columns of the former version."""
    return sorted(map(tuple, connection.execute(select(table))), key=repr)


def write_as_before(connection: Connection, table: Table) -> None:
    """Insert one of the rows again, with the columns of the former version alone.

    A column that is new and required is refused before the row counts as a duplicate.
    """
    columns = [each for each in table.columns if each.identity is None and not each.computed]
    one_row = select(*columns).limit(1)
    again = insert(table).from_select(columns, one_row, include_defaults=False)
    connection.execute(again.on_conflict_do_nothing())


def test_the_former_version_writes_while_and_after_the_tables_are_migrated(bench: Bench) -> None:
    synced(bench)
    everything = bench.everything()
    downgrade(bench.engine, REVISIONS[-2])
    tables = former_tables(bench.engine)
    with transaction(bench.engine) as connection:
        before = {table.name: rows(connection, table) for table in tables}
    assert before["cases"]

    with ThreadPoolExecutor(1) as pool:
        # As a sync does it: clinic and rows are locked, and the transaction is open.
        with bench.engine.begin() as running:
            lock_clinic(running, bench.clinic.id)
            running.execute(text("SELECT 1 FROM clinics FOR KEY SHARE"))
            running.execute(text("UPDATE cases SET updated_at = updated_at"))
            migration = pool.submit(migrate, bench.engine)
            for table in tables:
                with running.begin_nested() as undone:
                    write_as_before(running, table)
                    undone.rollback()
        assert migration.result(timeout=60)

    with bench.engine.connect() as connection:
        lock_clinic(connection, bench.clinic.id)
        for table in tables:
            assert rows(connection, table) == before[table.name], table.name
            write_as_before(connection, table)
    assert bench.everything() == everything
    sync(bench)
    assert bench.everything() == everything
