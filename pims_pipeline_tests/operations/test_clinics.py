"""Changing clinics, and which clinics may be synced."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicDeactivated
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import OFF, ScheduleConfig
from pims_pipeline.operations.clinics import (
    NewClinic,
    NoLoginStored,
    ScheduleChange,
    change_schedule,
    deactivate,
    find_clinic,
    list_clinics,
    place_clinics,
    readdress_clinics,
    syncable_clinic,
)
from pims_pipeline.operations.credentials import store_login
from pims_pipeline.scheduling.cron import BadCron
from pims_pipeline.store.clinics import UnknownClinic
from pims_pipeline.store.secrets.vault import Vault

LOGIN = {"username": "vet", "password": "made-up", "company_id": "1001"}
NEW = NewClinic(
    slug="alder",
    name="Alder",
    timezone="Europe/Berlin",
    provider_type="idexx_neo",
    provider_base_url="https://alder.example",
)


def test_a_schedule_change_keeps_what_it_does_not_name(engine: Engine, clinic: Clinic) -> None:
    change_schedule(engine, clinic.slug, ScheduleChange(crons={Phase.CASES: OFF}, days_ahead=3))
    changed = change_schedule(engine, clinic.slug, ScheduleChange(lookback_days=30)).config

    standard = ScheduleConfig()
    assert changed.sync_schedules == {**standard.sync_schedules, Phase.CASES: OFF}
    assert (changed.days_ahead, changed.lookback_days) == (3, 30)
    assert changed.parallel_batch_size == standard.parallel_batch_size


def test_a_schedule_that_cannot_be_read_changes_nothing(engine: Engine, clinic: Clinic) -> None:
    change = ScheduleChange(crons={Phase.CASES: OFF, Phase.INBOUND: "soon"}, days_ahead=3)

    with pytest.raises(BadCron):
        change_schedule(engine, clinic.slug, change)

    [known] = list_clinics(engine)
    assert known.config == ScheduleConfig()


def test_a_clinic_may_be_synced_once_it_has_a_login_and_until_it_is_deactivated(
    engine: Engine, clinic: Clinic, vault: Vault
) -> None:
    with pytest.raises(NoLoginStored):
        syncable_clinic(engine, clinic.slug)

    store_login(engine, vault, clinic, LOGIN)
    assert syncable_clinic(engine, clinic.slug).clinic == clinic

    deactivate(engine, clinic.slug)
    with pytest.raises(ClinicDeactivated):
        syncable_clinic(engine, clinic.slug)


def test_a_clinic_that_is_placed_again_keeps_its_name_and_becomes_active(
    engine: Engine, vault: Vault
) -> None:
    [first] = place_clinics(engine, vault, [(NEW, LOGIN)])
    deactivate(engine, "alder")
    moved = NewClinic(
        slug="alder",
        name="Another name",
        timezone=NEW.timezone,
        provider_type=NEW.provider_type,
        provider_base_url="https://elsewhere.example",
    )

    [again] = place_clinics(engine, vault, [(moved, LOGIN)])

    assert (again.id, again.name, again.is_active) == (first.id, "Alder", True)
    assert again.provider_base_url == "https://elsewhere.example"


def test_no_address_changes_if_one_clinic_is_unknown(engine: Engine, clinic: Clinic) -> None:
    addresses = {clinic.slug: "https://elsewhere.example", "unknown": "https://x.example"}

    with pytest.raises(UnknownClinic):
        readdress_clinics(engine, addresses)

    assert find_clinic(engine, clinic.slug) == clinic
