"""Installations not quite as the layouts have them are adopted, compared and written alike."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.comparison import compare_and_keep
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.switching import switch
from pims_pipeline.domain.adoption.clinics import AdoptionRefused
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.store.adoptions import record_diff
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.v4.their_path import ApplicationRefused
from pims_pipeline_tests.adoption.live.live_clinic import LiveClinic, live_clinic
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation, plant_clinic
from pims_pipeline_tests.sync.bench import DAY, local

Adopted = Callable[[], LiveClinic]


@pytest.fixture
def adopt_live(engine: Engine, theirs: V4Installation, wanted: AdoptionRequest) -> Adopted:
    """Adopts the clinic, once its installation is as the test wants it."""
    return lambda: live_clinic(engine, theirs, wanted)


@pytest.mark.parametrize("at", ["infinity", "-infinity", "0001-01-01", "20000-01-01"])
def test_a_time_that_python_cannot_hold_stops_nothing(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, adopt_live: Adopted, at: str
) -> None:
    column = "scheduled_at" if theirs.is_deployed else "scheduled_date"
    set_time = f"UPDATE cases SET {column} = '{at}' WHERE id = %s"  # noqa: S608 - of this test
    theirs.run(set_time, planted.plain)
    theirs.run(f"UPDATE cases SET created_at = '{at}'")  # noqa: S608 - of this test
    live = adopt_live()
    live.day()
    theirs.run(set_time, planted.shifted)

    live.day()
    compare_and_keep(engine, "riverbend", datetime(2076, 3, 20, tzinfo=UTC))

    assert live.to_write() == []
    for case_id in (planted.plain, planted.shifted):
        read = f"SELECT CAST({column} AS date) FROM cases WHERE id = %s"  # noqa: S608 - of this test
        assert theirs.run(read, case_id) == [(DAY,)]


def test_of_duplicates_one_may_have_no_time_of_creation(
    theirs: V4Installation, planted: PlantedClinic, adopt_live: Adopted
) -> None:
    theirs.run("ALTER TABLE cases ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL")
    theirs.run(f"DELETE FROM {'notes' if theirs.is_deployed else 'case_notes'}")  # noqa: S608 - one of two
    theirs.run("UPDATE cases SET created_at = NULL WHERE id = %s", planted.duplicates[0])

    live = adopt_live()
    live.day()

    assert live.to_write() == []


@pytest.mark.usefixtures("planted")
def test_a_name_is_written_as_far_as_its_column_holds_it(
    theirs: V4Installation, adopt_live: Adopted
) -> None:
    table, name = ("patients", "name") if theirs.is_deployed else ("cases", "patient_name")
    theirs.run(f"ALTER TABLE {table} ALTER {name} TYPE varchar(4)")
    live = adopt_live()
    live.vendor.book("new", local(DAY, 17))

    live.day()

    assert live.bench is not None
    case = live.bench.case("new")
    assert len(case.patient_name) > 4
    ((stored,),) = theirs.run(
        f"SELECT {name} FROM {table} WHERE {'case_id' if theirs.is_deployed else 'id'} = %s",  # noqa: S608 - one of two
        case.id,
    )
    assert stored == case.patient_name[:4].rstrip()
    assert live.to_write() == []


@pytest.mark.usefixtures("planted")
def test_an_appointment_is_never_named_in_part(theirs: V4Installation, adopt_live: Adopted) -> None:
    column = "external_id" if theirs.is_deployed else "pims_id"
    theirs.run(f"ALTER TABLE cases ALTER {column} TYPE varchar(21)")
    live = adopt_live()
    live.vendor.book("1" + "0" * 21, local(DAY, 17))
    live.sync()
    before = theirs.checksum()

    with pytest.raises(ApplicationRefused, match="22001"):
        live.write()

    assert theirs.checksum() == before


@pytest.mark.parametrize("code", ["PT403", "A0001", "09000", "21000"])
def test_a_trigger_may_refuse_with_any_code_and_its_words_stay_unseen(
    deployed: V4Installation, engine: Engine, wanted: AdoptionRequest, code: str
) -> None:
    plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.sync()
    deployed.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION 'Rex is closed' USING ERRCODE = '{code}'; END$$"
    )
    deployed.run(
        "CREATE TRIGGER refuse BEFORE UPDATE ON cases FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    try:
        with pytest.raises(ApplicationRefused, match=code) as refused:
            live.write()
    finally:
        deployed.run("DROP FUNCTION refuse CASCADE")

    assert "Rex" not in str(refused.value)


def test_patients_may_have_numbers_as_ids(
    deployed: V4Installation, engine: Engine, wanted: AdoptionRequest
) -> None:
    deployed.run("ALTER TABLE patients DROP id")
    deployed.run("ALTER TABLE patients ADD id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
    plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.vendor.book("new", local(DAY, 17))

    live.day()

    assert live.to_write() == []
    assert live.bench is not None
    case = live.bench.case("new")
    names = deployed.run("SELECT name FROM patients WHERE case_id = %s", case.id)
    assert names == [(case.patient_name,)]


def test_a_clinic_with_several_schedules_is_not_switched(
    deployed: V4Installation, engine: Engine, wanted: AdoptionRequest
) -> None:
    plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.set_mode(AdoptionMode.SHADOW)
    with transaction(engine) as connection:
        record_diff(connection, live.clinic.id, {"syncedHere": True, "differences": 0})
    deployed.run("ALTER TABLE clinic_schedule_config DROP CONSTRAINT clinic_schedule_config_pkey")
    deployed.schedule(live.clinic.id, {"inbound": "*/5 * * * *"})
    before = deployed.checksum()

    with pytest.raises(AdoptionRefused, match="several"):
        switch(engine, "riverbend", accept=0, now=datetime.now(UTC))

    assert deployed.checksum() == before


def test_a_trigger_of_theirs_may_make_the_patient_of_a_new_case(
    deployed: V4Installation, engine: Engine, wanted: AdoptionRequest
) -> None:
    plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.vendor.book("new", local(DAY, 17))
    deployed.run(
        "CREATE FUNCTION make_patient() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "INSERT INTO patients (case_id) VALUES (NEW.id); RETURN NULL; END$$"
    )
    deployed.run(
        "CREATE TRIGGER make_patient AFTER INSERT ON cases "
        "FOR EACH ROW EXECUTE FUNCTION make_patient()"
    )
    try:
        live.day()
    finally:
        deployed.run("DROP FUNCTION make_patient CASCADE")

    assert live.to_write() == []
    assert live.bench is not None
    case = live.bench.case("new")
    names = deployed.run("SELECT name FROM patients WHERE case_id = %s", case.id)
    assert names == [(case.patient_name,)]
