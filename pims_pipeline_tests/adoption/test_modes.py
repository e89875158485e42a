"""The mode of an adopted clinic: what it says about syncs, and who may change it."""

from datetime import date

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.modes import adopted_clinic, change_mode, enter_mode
from pims_pipeline.domain.adoption.clinics import AdoptionRefused
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.adoptions import NotAdopted, steps_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.schedules import active_schedules
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation, plant_clinic
from pims_pipeline_tests.adoption.ways import adopted


@pytest.fixture
def planted(engine: Engine, deployed: V4Installation, wanted: AdoptionRequest) -> PlantedClinic:
    """A clinic that is adopted."""
    planted = plant_clinic(deployed, date(2026, 3, 20))
    adopted(engine, wanted)
    return planted


def scheduled(engine: Engine) -> list[str]:
    """The clinics whose syncs run by schedule."""
    with transaction(engine) as connection:
        return [each.clinic.slug for each in active_schedules(connection)]


@pytest.mark.usefixtures("planted")
def test_in_shadow_our_schedule_runs_and_in_off_it_does_not(engine: Engine) -> None:
    assert scheduled(engine) == ["riverbend"]
    assert change_mode(engine, "riverbend", AdoptionMode.OFF)
    assert scheduled(engine) == []
    assert not change_mode(engine, "riverbend", AdoptionMode.OFF)
    assert change_mode(engine, "riverbend", AdoptionMode.SHADOW)
    assert scheduled(engine) == ["riverbend"]


@pytest.mark.usefixtures("planted")
def test_only_a_switch_makes_a_clinic_live_and_shadow_again(engine: Engine) -> None:
    with pytest.raises(AdoptionRefused, match="only `pims adopt switch"):
        change_mode(engine, "riverbend", AdoptionMode.LIVE)
    with transaction(engine) as connection:
        clinic, adoption = adopted_clinic(connection, "riverbend", lock=True)
        assert enter_mode(connection, clinic, adoption, AdoptionMode.LIVE)
    for mode in (AdoptionMode.SHADOW, AdoptionMode.OFF):
        with pytest.raises(AdoptionRefused, match="--back"):
            change_mode(engine, "riverbend", mode)


def test_each_change_is_logged(engine: Engine, planted: PlantedClinic) -> None:
    change_mode(engine, "riverbend", AdoptionMode.OFF)
    change_mode(engine, "riverbend", AdoptionMode.OFF)
    with transaction(engine) as connection:
        steps = steps_of(connection, planted.id)
    assert [step.step for step in steps] == ["run", "mode"]
    assert steps[-1].details == {"from": "shadow", "to": "off"}


def test_a_clinic_that_was_not_adopted_has_no_mode(engine: Engine, clinic: Clinic) -> None:
    with pytest.raises(NotAdopted, match="pims adopt run --clinic maple-street"):
        change_mode(engine, clinic.slug, AdoptionMode.OFF)
