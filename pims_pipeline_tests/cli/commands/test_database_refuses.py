"""The error message when the database refuses a statement during a sync, or before it."""

from sqlalchemy import Engine, text

from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.cli.invocation import Pims, document, error_line

DISK_FULL = "the database's disk is full (53100); free space there, then run this again"


def _fill_disk_at(engine: Engine, table: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text(
                "CREATE FUNCTION fill_disk() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$"
            )
        )
        connection.execute(
            text(
                f"CREATE TRIGGER fill_disk BEFORE INSERT ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION fill_disk()"
            )
        )


def test_a_disk_that_fills_up_in_a_phase_is_named_by_the_sync_and_by_its_audit(
    pims: Pims, logged_in: str, engine: Engine
) -> None:
    _fill_disk_at(engine, "cases")
    done = pims("sync", "inbound", "--clinic", logged_in)
    assert done.exit_code == 1
    assert error_line(done).endswith(f"failed: DatabaseRefused: {DISK_FULL}")
    [clinic] = document(pims("status", "--json"))["clinics"]
    assert clinic["phases"]["inbound"]["latest"]["error"] == f"DatabaseRefused: {DISK_FULL}"


def test_a_disk_that_is_full_before_the_audit_is_stored_is_named_by_the_sync(
    pims: Pims, ready: str, engine: Engine
) -> None:
    _fill_disk_at(engine, "case_sync_audits")
    done = pims("sync", "inbound", "--clinic", ready)
    assert done.exit_code == 1
    assert error_line(done).endswith(DISK_FULL)
    assert "check" not in error_line(done)


def test_a_table_that_is_missing_is_named_in_one_line(pims: Pims, engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE clinics RENAME TO former_clinics"))
    words = (
        'Error: a table or column is missing (relation "clinics" does not exist, 42P01); '
        "run `pims migrate`"
    )
    for command in (("status",), ("clinics", "list")):
        done = pims(*command)
        assert done.exit_code == 1
        assert error_line(done).startswith(words)
