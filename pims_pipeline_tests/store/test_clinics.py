"""Clinics and their schedules, stored and read back."""

import pytest
from sqlalchemy import Connection, Engine, delete, text
from sqlalchemy.exc import IntegrityError

from pims_pipeline.domain.clinics import PROVIDER_TYPE_PATTERN, Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.store.clinics import (
    ClinicExists,
    UnknownClinic,
    active_clinics,
    add_clinic,
    all_clinics,
    clinic_by_slug,
    clinics_by_slugs,
    deactivate_clinic,
    schedule_config,
    set_resources,
    set_schedule_config,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.clinics import clinic_schedule_configs


def _add(connection: Connection, slug: str, *, timezone: str = "Europe/Lisbon") -> Clinic:
    return add_clinic(
        connection,
        slug=slug,
        name="Clínica do Porto",
        timezone=timezone,
        provider_type="idexx_neo",
        provider_base_url="https://pims.example/",
    )


def test_a_clinic_is_read_back_as_it_was_added(engine: Engine) -> None:
    with transaction(engine) as connection:
        added = _add(connection, "porto-1")
    with transaction(engine) as connection:
        assert clinic_by_slug(connection, "porto-1") == added
    assert added == Clinic(
        id=added.id,
        slug="porto-1",
        name="Clínica do Porto",
        timezone="Europe/Lisbon",
        provider_type="idexx_neo",
        provider_base_url="https://pims.example",
        is_active=True,
    )


@pytest.mark.parametrize("provider_type", ["x", "Vetspire", "vet spire", "1vet", "vet\n", "v" * 41])
def test_a_provider_type_of_another_shape_is_refused(engine: Engine, provider_type: str) -> None:
    assert PROVIDER_TYPE_PATTERN.fullmatch(provider_type) is None
    with (
        pytest.raises(IntegrityError, match="ck_clinics_provider_type"),
        transaction(engine) as connection,
    ):
        add_clinic(
            connection,
            slug="porto-1",
            name="Porto",
            timezone="UTC",
            provider_type=provider_type,
            provider_base_url="https://pims.example/",
        )


def test_a_type_that_no_package_has_may_be_stored(engine: Engine) -> None:
    """The database knows the shape only: a package may be uninstalled for a while."""
    with transaction(engine) as connection:
        added = add_clinic(
            connection,
            slug="porto-1",
            name="Porto",
            timezone="UTC",
            provider_type="a_vendor_of_others",
            provider_base_url="https://pims.example/",
        )
        assert clinic_by_slug(connection, "porto-1") == added


def test_a_slug_that_is_taken_is_refused_and_changes_nothing(
    engine: Engine, clinic: Clinic
) -> None:
    with (
        pytest.raises(ClinicExists, match="'maple-street' exists already"),
        transaction(engine) as connection,
    ):
        _add(connection, clinic.slug)
    with transaction(engine) as connection:
        assert all_clinics(connection) == [clinic]


@pytest.mark.parametrize(
    ("slug", "timezone"),
    [("Porto", "Europe/Lisbon"), ("a|b", "Europe/Lisbon"), ("porto", "Europe/Nowhere")],
)
def test_a_clinic_without_a_real_slug_or_zone_is_refused(
    engine: Engine, slug: str, timezone: str
) -> None:
    with pytest.raises(ValueError, match=r"slug|time zone"), transaction(engine) as connection:
        _add(connection, slug, timezone=timezone)
    with transaction(engine) as connection:
        assert all_clinics(connection) == []


def test_an_unknown_clinic_is_named_with_the_way_to_see_the_known_ones(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        with pytest.raises(UnknownClinic) as caught:
            clinics_by_slugs(connection, ["oak", clinic.slug, "elm"])
        assert (
            str(caught.value)
            == "unknown clinic 'oak', 'elm'; `pims clinics list` shows the known ones"
        )
        with pytest.raises(UnknownClinic, match="'oak'"):
            clinic_by_slug(connection, "oak")
        with pytest.raises(UnknownClinic, match="'oak'"):
            deactivate_clinic(connection, "oak")


def test_a_deactivated_clinic_is_known_but_not_active(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        oak = _add(connection, "oak")
        deactivate_clinic(connection, clinic.slug)
    with transaction(engine) as connection:
        assert active_clinics(connection) == [oak]
        assert [each.slug for each in all_clinics(connection)] == ["maple-street", "oak"]
        assert not clinic_by_slug(connection, clinic.slug).is_active


def test_clinics_come_in_the_order_asked(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        elm, oak = _add(connection, "elm"), _add(connection, "oak")
        found = clinics_by_slugs(connection, ["oak", "maple-street", "elm", "oak"])
    assert list(found.values()) == [oak, clinic, elm]


def test_a_new_clinic_has_the_default_schedule(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        assert schedule_config(connection, clinic) == ScheduleConfig(
            sync_schedules={
                Phase.INBOUND: "*/15 * * * *",
                Phase.CASES: "0 */2 * * *",
                Phase.RECONCILIATION: "0 2 * * *",
            },
            days_ahead=7,
            lookback_days=7,
            parallel_batch_size=5,
        )


def test_a_clinic_without_a_stored_schedule_has_the_default_one(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        connection.execute(delete(clinic_schedule_configs))
        assert schedule_config(connection, clinic) == ScheduleConfig()


def test_a_changed_schedule_is_read_back(engine: Engine, clinic: Clinic) -> None:
    config = ScheduleConfig(
        sync_schedules={
            Phase.INBOUND: "*/5 * * * *",
            Phase.CASES: "0 * * * *",
            Phase.RECONCILIATION: "0 3 * * *",
        },
        days_ahead=14,
        lookback_days=3,
        parallel_batch_size=2,
    )
    with transaction(engine) as connection:
        set_schedule_config(connection, clinic, config)
    with transaction(engine) as connection:
        assert schedule_config(connection, clinic) == config


@pytest.mark.parametrize(
    "resources",
    [
        ResourceFilter(included=frozenset({"room:2", "room:10"})),
        ResourceFilter(excluded=frozenset({"provider:9 é"})),
        ALL_RESOURCES,
    ],
    ids=["included", "excluded", "all"],
)
def test_the_chosen_resources_are_read_back_and_replace_the_former_ones(
    engine: Engine, clinic: Clinic, resources: ResourceFilter
) -> None:
    assert clinic.resources == ALL_RESOURCES
    with transaction(engine) as connection:
        set_resources(connection, clinic, ResourceFilter(excluded=frozenset({"room:1"})))
        set_resources(connection, clinic, resources)
        assert clinic_by_slug(connection, clinic.slug).resources == resources
        assert [each.resources for each in active_clinics(connection)] == [resources]


@pytest.mark.parametrize(
    "edit",
    [
        "included_resources = '{}'",
        "excluded_resources = '{}'",
        "included_resources = '{a}', excluded_resources = '{b}'",
    ],
)
def test_the_database_takes_no_contradictory_choice(
    engine: Engine, clinic: Clinic, edit: str
) -> None:
    assert clinic.is_active
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        connection.execute(text(f"UPDATE clinics SET {edit}"))  # noqa: S608 - fixed edits
