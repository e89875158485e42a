"""In mode live the application's rows follow ours, and nothing else of theirs changes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.application import write_application
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.switching import switch, switch_back
from pims_pipeline.domain.adoption.application.rows import LeftOut
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.store.adoptions import record_diff
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline_tests.adoption.live.live_clinic import DAYS, LiveClinic, live_clinic
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation, plant_clinic, words
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.sync.bench import DAY, local


@pytest.mark.usefixtures("theirs")
def test_a_second_write_changes_nothing(live: LiveClinic) -> None:
    first = live.day()
    theirs, log = live.theirs.checksum(), live.log()

    second = live.write()
    live.sync()
    third = live.write()

    assert first.total > 0
    assert (second.total, third.total, live.to_write()) == (0, 0, [])
    assert live.theirs.checksum() == theirs
    assert live.log() == log


@pytest.mark.usefixtures("theirs")
def test_a_new_appointment_becomes_a_row_under_our_id(live: LiveClinic) -> None:
    live.vendor.book("new", local(DAY, 17))

    live.day()

    assert live.bench is not None
    ours, row = live.bench.case("new"), live.row_of("new")
    assert (row["id"], row["clinic_id"], row["status"]) == (ours.id, live.clinic.id, ours.status)
    assert row["metadata"]["pimsAppointment"]["status"] == ours.metadata["appointment"]["status"]
    if live.theirs.is_deployed:
        assert row["scheduled_at"] == ours.scheduled_start
        assert row["source"] == "pims:idexx-neo"
        names = live.theirs.run("SELECT name FROM patients WHERE case_id = %s", ours.id)
        assert names == [(ours.patient_name,)]
    else:
        assert (row["scheduled_date"], row["patient_name"]) == (DAY, ours.patient_name)


@pytest.mark.usefixtures("theirs")
def test_a_moved_appointment_moves_there_and_what_people_own_stays(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.theirs.run(
        "UPDATE cases SET visibility = 'public', "
        "metadata = metadata || '{\"huge\": 123456789012345678901234567890.5}' WHERE id = %s",
        planted.plain,
    )
    before = live.row(planted.plain)
    live.vendor.move("1", local(DAY, 18))

    live.day()

    after = live.row(planted.plain)
    if live.theirs.is_deployed:
        assert after["scheduled_at"] == local_to_utc(local(DAY, 18), live.clinic.zone)
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"scheduled_at", "updated_at"}
    (exact,) = live.theirs.run("SELECT metadata ->> 'huge' FROM cases WHERE id = %s", planted.plain)
    assert exact == ("123456789012345678901234567890.5",)


def test_a_status_that_people_set_stays_and_one_that_the_service_set_follows(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    assert live.row(planted.plain)["status"] == "ongoing"
    live.vendor.set_status("1", "Paid")
    live.vendor.set_status("2", "Paid")

    live.day()

    by_people, by_service = live.row(planted.plain), live.row(planted.shifted)
    assert (by_people["status"], by_service["status"]) == ("ongoing", "completed")
    assert by_people["metadata"]["pimsAppointment"]["status"] == "Paid"
    assert by_people["metadata"]["starred"] is True


@pytest.mark.usefixtures("theirs")
def test_a_deleted_appointment_is_retired_as_the_service_did_and_restored(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.vendor.delete("2")

    live.day()

    retired = live.row(planted.shifted)
    assert retired["status"] == "reviewed"
    assert set(retired["metadata"]["reconciliation"]) == {"deleted", "deletedAt", "reason"}
    assert [each.kind for each in live.log()][-1] == "retired"

    live.vendor.book("2", local(DAY, 10))
    live.day()

    restored = live.row(planted.shifted)
    assert restored["status"] == "draft"
    assert "reconciliation" not in restored["metadata"]


def test_a_wrongly_retired_case_is_restored_there(live: LiveClinic, planted: PlantedClinic) -> None:
    live.day()

    row = live.row(planted.retired)
    assert row["status"] == "draft"
    assert "reconciliation" not in row["metadata"]


def test_a_case_that_people_reopened_is_not_closed_again(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.vendor.delete("2")
    live.day()
    live.theirs.run("UPDATE cases SET status = 'ongoing' WHERE id = %s", planted.shifted)

    report = live.day()

    assert report.total == 0
    assert live.row(planted.shifted)["status"] == "ongoing"


def test_a_row_that_people_deleted_is_not_made_again(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.theirs.run("DELETE FROM cases WHERE id = %s", planted.shifted)

    report = live.day()

    assert report.left_out == {LeftOut.GONE: (planted.shifted,)}
    assert live.theirs.run("SELECT 1 FROM cases WHERE id = %s", planted.shifted) == []


@pytest.mark.usefixtures("theirs")
def test_a_row_that_the_service_made_since_is_linked(live: LiveClinic) -> None:
    made = live.theirs.case(
        live.clinic.id,
        live.theirs.external_id("late"),
        datetime(2076, 3, 20, 22, tzinfo=UTC),
        metadata={"pimsAppointment": words("Confirmed")},
    )
    live.vendor.book("late", local(DAY, 18))

    report = live.day()

    assert report.linked == 1
    assert live.row_of("late")["id"] == made


def test_a_retirement_that_no_reconciliation_of_ours_made_is_left_out(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    bench = live.sync()
    live.write()
    bench.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{reconciliation}', "
        '\'{"softDeleted": true, "reason": "x"}\') WHERE id = :id',
        id=planted.plain,
    )
    before = live.theirs.checksum()

    report = live.write()

    assert report.left_out == {LeftOut.UNGUARDED: (planted.plain,)}
    assert live.theirs.checksum() == before


@pytest.mark.usefixtures("theirs")
def test_in_shadow_the_asset_changes_no_byte_of_theirs(live: LiveClinic) -> None:
    live.set_mode(AdoptionMode.SHADOW)
    before = live.theirs.checksum()
    for hour in (17, 18, 19):
        live.vendor.move("1", local(DAY, hour))
        bench = live.sync()
        assert write_application(bench.context, live.clinic.slug, DAYS) is None

    assert live.theirs.checksum() == before
    assert live.log() == []


def test_a_case_that_moved_out_of_the_dates_is_written_too(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.vendor.move("1", local(DAY, 18))
    bench = live.sync()

    report = write_application(bench.context, live.clinic.slug, [DAYS[0]])

    assert report is not None
    assert report.total == 1
    assert live.log()[-1].case_id == planted.plain


def test_each_write_is_logged_with_its_run_and_columns_and_no_values(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    live.vendor.set_status("2", "Paid")
    live.day()

    last = live.log()[-1]
    assert (last.case_id, last.run_id, last.kind) == (planted.shifted, "run-2", "updated")
    assert last.partition_key == f"{live.clinic.slug}|{DAY}"
    assert list(last.columns) == ["metadata.pimsAppointment", "status"]
    assert last.audit_id is not None


def test_a_consultation_is_written_beside_the_fields_of_the_service(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.vendor.record_appointment("1", notes="Bright and alert.")
    live.day()

    written = live.row(planted.plain)["metadata"]["pimsConsultation"]
    assert live.bench is not None
    assert written.items() >= live.bench.case("1").metadata["consultation"].items()
    live.theirs.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{pimsConsultation,reviewed}', 'true') "
        "WHERE id = %s",
        planted.plain,
    )
    live.vendor.record_appointment("1", notes="Corrected.")
    live.bench.run("UPDATE pims_appointments SET consultation_checked_at = NULL")
    live.day()

    again = live.row(planted.plain)["metadata"]["pimsConsultation"]
    assert (again["notes"], again["reviewed"]) == ("Corrected.", True)


def test_a_trigger_of_theirs_finds_its_own_tables_and_not_ours(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    planted = plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.sync()
    deployed.run(
        "CREATE FUNCTION mark_stale() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN UPDATE cases SET embedding_state = 'stale' WHERE id = NEW.id; RETURN NULL; END$$"
    )
    deployed.run(
        "CREATE TRIGGER mark_stale AFTER UPDATE OF scheduled_at ON cases "
        "FOR EACH ROW EXECUTE FUNCTION mark_stale()"
    )
    try:
        live.write()
    finally:
        deployed.run("DROP FUNCTION mark_stale CASCADE")

    assert live.row(planted.shifted)["embedding_state"] == "stale"
    assert live.row(planted.plain)["embedding_state"] is None


def test_a_clinic_is_written_and_switched_through_a_pooler_with_one_connection(
    live: LiveClinic, database_url: str
) -> None:
    live.set_mode(AdoptionMode.SHADOW)
    bench = live.sync()
    with transaction(live.engine) as connection:
        record_diff(connection, live.clinic.id, {"syncedHere": True, "differences": 0})

    with pgbouncer(database_url, size=1) as url:
        pooled = create_engine(url, pool_size=1)
        now = datetime.now(UTC)
        assert switch(pooled, "riverbend", accept=0, now=now).changed
        context = replace(bench.context, engine=pooled)
        first = write_application(context, "riverbend", DAYS)
        again = write_application(context, "riverbend", DAYS)
        assert switch_back(pooled, "riverbend").changed
        pooled.dispose()

    assert first is not None
    assert again is not None
    assert first.total > 0
    assert again.total == 0
