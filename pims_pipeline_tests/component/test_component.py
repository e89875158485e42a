"""The component ``pims_pipeline.PimsSync``, as a project's ``defs.yaml`` configures it."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

import pims_pipeline
from pims_pipeline.component import PimsSync
from pims_pipeline.operations.clinics import NewClinic, list_clinics, register_missing_clinics
from pims_pipeline.orchestration.sensors.declared_clinics import build_declared_clinics
from pims_pipeline.settings import SettingsError, component_variables, secret_variable_names
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database.engine import transaction

RIVERBEND = {
    "slug": "riverbend",
    "name": "Riverbend Animal Hospital",
    "timezone": "America/New_York",
    "provider": "idexx_neo",
    "base_url": "https://clinic.example",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment has no database, and logs are not set up twice."""
    for variable in ("PIMS_DATABASE_URL", "SUPABASE_DB_URL", "ENCRYPTION_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIMS_HOME", str(tmp_path / "pims"))
    monkeypatch.setattr("pims_pipeline.definitions.set_up_logging", lambda _: None)


def new_clinic(slug: str) -> NewClinic:
    return NewClinic(
        slug=slug,
        name=slug.title(),
        timezone="Europe/Berlin",
        provider_type="idexx_neo",
        provider_base_url="https://clinic.example",
    )


def definitions(attributes: Mapping[str, object]) -> dg.Definitions:
    return dg.build_defs_for_component(PimsSync.from_attributes_dict(attributes=dict(attributes)))


def sensors(built: dg.Definitions) -> set[str]:
    return {each.name for each in built.get_repository_def().sensor_defs}


def test_the_package_offers_the_component_by_its_short_name() -> None:
    assert pims_pipeline.PimsSync is PimsSync
    assert "PimsSync" in dir(pims_pipeline)
    assert not hasattr(pims_pipeline, "PimsSink")


def test_it_adds_the_code_location_and_opens_nothing(tmp_path: Path) -> None:
    built = definitions({})

    assert {key.to_user_string() for key in built.resolve_asset_graph().get_all_asset_keys()} >= {
        "appointments",
        "consultations",
        "reconciliation",
    }
    assert "declared_clinics" not in sensors(built)
    assert not (tmp_path / "pims").exists()


def test_declared_clinics_are_registered_by_a_sensor() -> None:
    assert "declared_clinics" in sensors(definitions({"clinics": [RIVERBEND]}))


def test_its_settings_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIMS_PARTITION_START", "2025-02-03")
    monkeypatch.setenv("PIMS_RUN_TIMEOUT_SECONDS", "60")

    built = definitions({"settings": {"PIMS_PARTITION_START": "2026-01-05"}})

    report = built.get_repository_def().assets_defs_by_key[dg.AssetKey("daily_report")]
    assert isinstance(report.partitions_def, dg.DailyPartitionsDefinition)
    assert f"{report.partitions_def.start:%F}" == "2026-01-05"
    job = built.get_repository_def().get_job("full_sync")
    # Dagster ends a run ten minutes after it should have ended by itself.
    assert job.run_tags["dagster/max_runtime"] == "660"


def test_no_secret_and_no_database_can_be_set_in_a_file() -> None:
    assert component_variables().isdisjoint(secret_variable_names())

    with pytest.raises(SettingsError) as refused:
        definitions({"settings": {"ENCRYPTION_KEY": "hush-hush", "PIMS_CLINICS_AT_ONCE": 4}})

    assert refused.value.problems[0].startswith("ENCRYPTION_KEY cannot be set under `settings`")
    assert "hush-hush" not in str(refused.value)


def test_a_wrong_setting_is_named_with_what_to_write() -> None:
    with pytest.raises(SettingsError, match="PIMS_CLINICS_AT_ONCE must be a whole number"):
        definitions({"settings": {"PIMS_CLINICS_AT_ONCE": "many"}})


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("slug", "River Bend", "is not a clinic slug"),
        ("timezone", "Mars/Olympus", "unknown time zone"),
        ("provider", "idex_neo", "idexx_neo"),
        ("base_url", "http://clinic.example", "base_url begins with http://"),
        ("password", "hush", "Extra inputs are not permitted"),
    ],
)
def test_a_clinic_that_cannot_be_is_refused(field: str, value: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        definitions({"clinics": [{**RIVERBEND, field: value}]})


def test_the_sensor_registers_what_is_missing_and_changes_nothing_else(engine: Engine) -> None:
    register_missing_clinics(engine, [new_clinic("alder"), new_clinic("birch")])
    with transaction(engine) as connection:
        deactivate_clinic(connection, "birch")
    sensor = build_declared_clinics([new_clinic("birch"), new_clinic("cedar")])

    first, second = (sensor(dg.build_sensor_context(resources={"store": engine})) for _ in range(2))

    assert "registered cedar; store each login with" in str(first)
    assert "all declared clinics are registered" in str(second)
    known = {each.clinic.slug: each.clinic.is_active for each in list_clinics(engine)}
    assert known == {"alder": True, "birch": False, "cedar": True}
