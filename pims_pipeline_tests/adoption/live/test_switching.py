"""Switching a clinic and back: the schedules of both sides, the mode, and the log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.modes import change_mode
from pims_pipeline.adoption.switching import SwitchResult, switch, switch_back
from pims_pipeline.domain.adoption.clinics import AdoptionRefused
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.adoptions import adoption_of, record_diff, steps_of
from pims_pipeline.store.clinics import clinic_by_slug, schedule_config
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.v4.installation import MissingRight
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation, plant_clinic
from pims_pipeline_tests.adoption.ways import adopted
from pims_pipeline_tests.cli.invocation import everything
from pims_pipeline_tests.sync.bench import DAY


@pytest.fixture
def planted(engine: Engine, theirs: V4Installation, wanted: AdoptionRequest) -> PlantedClinic:
    """A clinic in shadow that was compared, and agrees."""
    planted = plant_clinic(theirs, DAY)
    clinic = adopted(engine, wanted).clinic
    compared(engine, clinic.id, 0)
    return planted


def compared(engine: Engine, clinic_id: Any, differences: int) -> None:
    with transaction(engine) as connection:
        record_diff(connection, clinic_id, {"syncedHere": True, "differences": differences})


def switched(engine: Engine, accept: int = 0) -> SwitchResult:
    return switch(engine, "riverbend", accept=accept, now=datetime.now(UTC))


def mode_of(engine: Engine, planted: PlantedClinic) -> AdoptionMode:
    with transaction(engine) as connection:
        adoption = adoption_of(connection, planted.id)
    assert adoption is not None
    return adoption.mode


def schedule_there(theirs: V4Installation) -> Any:
    table = "clinic_schedule_config" if theirs.is_deployed else "clinic_schedule_configs"
    ((found,),) = theirs.run(f"SELECT sync_schedules FROM {table}")  # noqa: S608 - one of two
    return found


def test_a_switch_turns_theirs_off_and_back_turns_it_on(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic
) -> None:
    before = schedule_there(theirs)

    assert switched(engine).changed

    off = schedule_there(theirs)
    assert mode_of(engine, planted) is AdoptionMode.LIVE
    if theirs.is_deployed:
        assert off == [{**entry, "enabled": False} for entry in before]
    else:
        assert off == {}

    assert switch_back(engine, "riverbend").changed

    assert schedule_there(theirs) == before
    assert mode_of(engine, planted) is AdoptionMode.SHADOW
    with transaction(engine) as connection:
        steps = [step.step for step in steps_of(connection, planted.id)]
    assert steps == ["run", "mode", "switch", "mode", "switch back"]


def test_twice_changes_nothing(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic
) -> None:
    switched(engine)
    once = theirs.checksum(), everything(engine)

    again = switched(engine)

    assert (again.changed, again.runs_there) == (False, ())
    assert (theirs.checksum(), everything(engine)) == once

    switch_back(engine, "riverbend")
    back = theirs.checksum(), everything(engine)
    assert not switch_back(engine, "riverbend").changed
    assert (theirs.checksum(), everything(engine)) == back
    assert mode_of(engine, planted) is AdoptionMode.SHADOW


def test_a_phase_that_is_off_here_runs_as_it_did_there_and_is_off_again_after(
    engine: Engine, planted: PlantedClinic
) -> None:
    assert mode_of(engine, planted) is AdoptionMode.SHADOW
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            "UPDATE clinic_schedule_configs "
            'SET sync_schedules = sync_schedules || \'{"inbound": "off"}\''
        )

    assert switched(engine).turned_on == {"inbound": "*/20 * * * *"}
    assert cron_here(engine) == "*/20 * * * *"

    switch_back(engine, "riverbend")
    assert cron_here(engine) == "off"


def test_a_cron_that_v4_cannot_run_either_is_not_turned_on_here(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    planted = plant_clinic(deployed, DAY)
    entries = '[{"type": "inbound", "cron": "whenever"}]'
    deployed.run("UPDATE clinic_schedule_config SET sync_schedules = %s", entries)
    adopted(engine, wanted)
    compared(engine, planted.id, 0)

    assert switched(engine).turned_on == {}

    assert cron_here(engine) == "off"


def cron_here(engine: Engine) -> str:
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, "riverbend")
        return schedule_config(connection, clinic).sync_schedules[Phase.INBOUND]


def test_what_someone_edited_there_since_stays(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic
) -> None:
    switched(engine)
    if theirs.is_deployed:
        edit = '[{"type": "inbound", "cron": "1 1 * * *", "enabled": true}]'
        theirs.run("UPDATE clinic_schedule_config SET sync_schedules = %s", edit)
    else:
        edit = '{"inbound": "1 1 * * *"}'
        theirs.run("UPDATE clinic_schedule_configs SET sync_schedules = %s", edit)
    assert switched(engine).runs_there == ("inbound",)

    result = switch_back(engine, "riverbend")

    assert "inbound" in result.edited
    found = schedule_there(theirs)
    cron = found[0]["cron"] if theirs.is_deployed else found["inbound"]
    assert cron == "1 1 * * *"
    assert mode_of(engine, planted) is AdoptionMode.SHADOW


@pytest.mark.parametrize("problem", ["never", "old", "differs", "off", "no schedule"])
def test_a_refused_switch_changes_nothing(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest, problem: str
) -> None:
    planted = plant_clinic(deployed, DAY)
    adopted(engine, wanted)
    if problem != "never":
        compared(engine, planted.id, 1 if problem == "differs" else 0)
    if problem == "off":
        change_mode(engine, "riverbend", AdoptionMode.OFF)
    if problem == "no schedule":
        deployed.run("DELETE FROM clinic_schedule_config")
    before = deployed.checksum(), everything(engine)
    now = datetime.now(UTC) + timedelta(days=2 if problem == "old" else 0)

    with pytest.raises(AdoptionRefused) as refused:
        switch(engine, "riverbend", accept=0, now=now)

    assert "\n" not in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    assert (deployed.checksum(), everything(engine)) == before


def test_differences_can_be_accepted(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    planted = plant_clinic(deployed, DAY)
    adopted(engine, wanted)
    compared(engine, planted.id, 2)

    assert switched(engine, accept=2).changed


def test_a_login_that_may_not_write_there_is_named_the_grant(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    planted = plant_clinic(deployed, DAY)
    adopted(engine, wanted)
    compared(engine, planted.id, 0)
    deployed.run("CREATE ROLE pims_reader_only BYPASSRLS")
    try:
        deployed.run("GRANT USAGE ON SCHEMA theirs TO pims_reader_only")
        deployed.run("GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO pims_reader_only")
        deployed.run("GRANT ALL ON ALL TABLES IN SCHEMA public TO pims_reader_only")
        deployed.run("GRANT USAGE ON SCHEMA public TO pims_reader_only")
        with pytest.raises(MissingRight, match=r"GRANT INSERT, UPDATE ON"):
            _switched_as(engine, "pims_reader_only")
    finally:
        deployed.run("DROP OWNED BY pims_reader_only")
        deployed.run("DROP ROLE pims_reader_only")


def _switched_as(engine: Engine, role: str) -> None:
    url = engine.url.update_query_dict({"options": f"-c role={role}"})
    other = create_engine(url.render_as_string(hide_password=False))
    try:
        switched(other)
    finally:
        other.dispose()
