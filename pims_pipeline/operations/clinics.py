"""Clinics: registering, scheduling and deactivating them, and whether one may be synced.

Add an operator's change of a clinic here. The rules of clinics and schedules belong in ``domain``,
their rows in ``store/clinics.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine

from pims_pipeline.dagster_names import in_order_of_registration
from pims_pipeline.domain.clinics import Clinic, zone_named
from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.operations.credentials import checked_login
from pims_pipeline.providers.port import Credentials
from pims_pipeline.providers.registry import registry
from pims_pipeline.scheduling.cron import parse_schedule
from pims_pipeline.store.clinics import (
    ClinicExists,
    active_clinics,
    add_clinic,
    all_clinics,
    clinic_by_slug,
    deactivate_clinic,
    readdress_clinic,
    schedule_config,
    schedule_configs,
    set_schedule_config,
    set_timezone,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import credential_status, put_credentials
from pims_pipeline.store.secrets.vault import Vault


class NoLoginStored(UserFacingError):
    """The clinic cannot be synced before its login is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClinic:
    """A clinic to register; see ``Clinic`` for the attributes."""

    slug: str
    name: str
    timezone: str
    provider_type: str
    provider_base_url: str


@dataclass(frozen=True, slots=True)
class ConfiguredClinic:
    """A clinic with its schedule."""

    clinic: Clinic
    config: ScheduleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChange:
    """A change of a clinic's schedule; None and absent phases keep their values.

    Attributes:
        crons: By phase a cron expression or ``off``.
        days_ahead: See ``ScheduleConfig``, also for the other attributes.
    """

    crons: Mapping[Phase, str] = field(default_factory=dict)
    days_ahead: int | None = None
    lookback_days: int | None = None
    parallel_batch_size: int | None = None

    def applied_to(self, config: ScheduleConfig) -> ScheduleConfig:
        """The changed schedule."""
        given = {
            "days_ahead": self.days_ahead,
            "lookback_days": self.lookback_days,
            "parallel_batch_size": self.parallel_batch_size,
        }
        numbers = {name: number for name, number in given.items() if number is not None}
        return replace(config, **numbers, sync_schedules={**config.sync_schedules, **self.crons})


def find_clinic(engine: Engine, slug: str) -> Clinic:
    """The clinic, active or not.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        return clinic_by_slug(connection, slug)


def list_clinics(engine: Engine) -> list[ConfiguredClinic]:
    """Every clinic, active or not, by slug."""
    with transaction(engine) as connection:
        stored = schedule_configs(connection)
        return [
            ConfiguredClinic(clinic, stored.get(clinic.id, ScheduleConfig()))
            for clinic in all_clinics(connection)
        ]


def clinics_to_partition(engine: Engine) -> list[str]:
    """The active clinics' slugs, in the order in which Dagster gets their partitions."""
    with transaction(engine) as connection:
        return in_order_of_registration(active_clinics(connection))


def register_clinic(engine: Engine, new: NewClinic) -> ConfiguredClinic:
    """Register a clinic, active, with the default schedule.

    Raises:
        ClinicExists: If the slug is taken.
        UnknownProvider, UnusableProvider: If there is no such provider.
        ValueError: If the slug or the IANA time zone is invalid.
    """
    registry().description(new.provider_type)
    with transaction(engine) as connection:
        return _configured(connection, _added(connection, new))


def register_missing_clinics(engine: Engine, declared: Iterable[NewClinic]) -> list[str]:
    """Register those of these clinics that are missing; their slugs.

    A clinic that is registered stays as it is, deactivated ones too.

    Raises:
        UnknownProvider, UnusableProvider: If there is no such provider; nothing is changed then.
        ValueError: If a slug or an IANA time zone is invalid; nothing is changed then.
    """
    with transaction(engine) as connection:
        known = {clinic.slug for clinic in all_clinics(connection)}
        missing = [new for new in declared if new.slug not in known]
        for new in missing:
            registry().description(new.provider_type)
            _added(connection, new)
    return [new.slug for new in missing]


def place_clinics(
    engine: Engine, vault: Vault, placed: Iterable[tuple[NewClinic, Mapping[str, str]]]
) -> list[Clinic]:
    """Register or reactivate these clinics with these addresses and logins.

    Raises:
        CredentialsRefused: If a login is not what its provider needs; nothing is changed then.

    Of a clinic that exists, only the address and the login change. Storing a login again drops the
    session, which the system at the former address issued.
    """
    logins = [(new, checked_login(new.provider_type, entered)) for new, entered in placed]
    with transaction(engine) as connection:
        return [_placed(connection, vault, new, login) for new, login in logins]


def readdress_clinics(engine: Engine, addresses: Mapping[str, str]) -> None:
    """Change the PIMS addresses of these clinics, by slug, and activate them.

    Raises:
        UnknownClinic: If one does not exist; nothing is changed then.
    """
    with transaction(engine) as connection:
        for slug, address in addresses.items():
            readdress_clinic(connection, slug, address)


def change_schedule(engine: Engine, slug: str, change: ScheduleChange) -> ConfiguredClinic:
    """Change the schedule and the default windows of a clinic; an empty change writes nothing.

    Raises:
        BadCron: If a cron expression is invalid.
        UnknownClinic: If the clinic does not exist.
    """
    for cron in change.crons.values():
        parse_schedule(cron)
    with transaction(engine) as connection:
        known = _configured(connection, clinic_by_slug(connection, slug))
        if change == ScheduleChange():
            return known
        config = change.applied_to(known.config)
        set_schedule_config(connection, known.clinic, config)
        return replace(known, config=config)


def change_timezone(engine: Engine, slug: str, timezone: str) -> ConfiguredClinic:
    """Change the time zone of the clinic's calendar; the same one writes nothing.

    Raises:
        ValueError: If it is no IANA zone.
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        if zone_named(timezone).key != clinic.timezone:
            set_timezone(connection, clinic, timezone)
        return _configured(connection, clinic_by_slug(connection, slug))


def deactivate(engine: Engine, slug: str) -> ConfiguredClinic:
    """Deactivate a clinic: it is not synced any more. Its data stays.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        deactivate_clinic(connection, slug)
        return _configured(connection, clinic_by_slug(connection, slug))


def syncable_clinic(engine: Engine, slug: str) -> ConfiguredClinic:
    """The clinic, after a check that it may be synced.

    Raises:
        UnknownClinic: If the clinic does not exist.
        ClinicDeactivated: If it was deactivated.
        NoLoginStored: If it has no login.
    """
    with transaction(engine) as connection:
        known = _configured(connection, clinic_by_slug(connection, slug))
        check_syncable(connection, known.clinic)
        return known


def check_syncable(connection: Connection, clinic: Clinic) -> None:
    """Check that the clinic is active and has a login.

    Raises:
        ClinicDeactivated: If it was deactivated.
        NoLoginStored: If it has no login.
    """
    check_use(clinic, ClinicUse.SYNC)
    if credential_status(connection, clinic) is None:
        raise NoLoginStored(
            f"no login is stored for clinic {clinic.slug!r}; store one with "
            f"`pims credentials set {clinic.slug}`"
        )


def _configured(connection: Connection, clinic: Clinic) -> ConfiguredClinic:
    return ConfiguredClinic(clinic, schedule_config(connection, clinic))


def _added(connection: Connection, new: NewClinic) -> Clinic:
    return add_clinic(
        connection,
        slug=new.slug,
        name=new.name,
        timezone=new.timezone,
        provider_type=new.provider_type,
        provider_base_url=new.provider_base_url,
    )


def _placed(connection: Connection, vault: Vault, new: NewClinic, login: Credentials) -> Clinic:
    try:
        clinic = _added(connection, new)
    except ClinicExists:
        clinic = readdress_clinic(connection, new.slug, new.provider_base_url)
    put_credentials(connection, vault, clinic, login.to_mapping())
    return clinic
