"""Clinics and their schedules: reading and writing their rows."""

import json
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import (
    DAYS_AHEAD,
    MAX_REQUEST_DAYS,
    Clinic,
    checked_slug,
    zone_named,
)
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.domain.schedules import DEFAULT_SCHEDULES, MAX_BATCH, OFF, ScheduleConfig
from pims_pipeline.store.tables.clinics import clinic_schedule_configs, clinics


class ClinicExists(UserFacingError):
    """The slug is taken."""


class UnknownClinic(UserFacingError):
    """No clinic has that slug."""

    def __init__(self, slugs: Iterable[str]) -> None:
        names = ", ".join(repr(slug) for slug in slugs)
        super().__init__(f"unknown clinic {names}; `pims clinics list` shows the known ones")


_COLUMNS = (
    clinics.c.id,
    clinics.c.slug,
    clinics.c.name,
    clinics.c.timezone,
    clinics.c.provider_type,
    clinics.c.provider_base_url,
    clinics.c.is_active,
    clinics.c.included_resources,
    clinics.c.excluded_resources,
)


def is_synced() -> ColumnElement[bool]:
    """Whether a row of ``clinics`` is synced by schedule, checked and alerted on.

    A deactivated clinic is not: see ``pims_pipeline.domain.deactivation``.
    """
    return clinics.c.is_active


def is_synced_in(alias: str) -> str:
    """``is_synced`` as text, for a statement that names the clinic so."""
    return f"{alias}.is_active"


def _clinic(row: Row[*tuple[object, ...]]) -> Clinic:
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    named = facts.pop("included_resources"), facts.pop("excluded_resources")
    return Clinic(**facts, resources=ResourceFilter.of(*named))


def add_clinic(
    connection: Connection,
    *,
    slug: str,
    name: str,
    timezone: str,
    provider_type: str,
    provider_base_url: str,
    clinic_id: UUID | None = None,
) -> Clinic:
    """Register a clinic, active, with the default schedule.

    Args:
        connection: In a transaction.
        slug: Its name in commands and partitions.
        name: For display.
        timezone: An IANA zone.
        provider_type: The adapter to its system.
        provider_base_url: The address of its system.
        clinic_id: The id that it has elsewhere already; a random one unless given.

    Raises:
        ClinicExists: If the slug or the id is taken.
        ValueError: If ``slug`` cannot be one, or ``timezone`` is no IANA zone.
    """
    values = {
        "slug": checked_slug(slug),
        "name": name,
        "timezone": zone_named(timezone).key,
        "provider_type": provider_type,
        "provider_base_url": provider_base_url.rstrip("/"),
        **({} if clinic_id is None else {"id": clinic_id}),
    }
    statement = insert(clinics).values(values).on_conflict_do_nothing()
    row = connection.execute(statement.returning(*_COLUMNS)).one_or_none()
    if row is None:
        raise ClinicExists(f"a clinic called {slug!r} exists already")
    clinic = _clinic(row)
    set_schedule_config(connection, clinic, ScheduleConfig())
    return clinic


def clinic_by_id(connection: Connection, clinic_id: UUID) -> Clinic:
    """The clinic with that id, active or not.

    Raises:
        UnknownClinic: If there is none.
    """
    row = connection.execute(select(*_COLUMNS).where(clinics.c.id == clinic_id)).one_or_none()
    if row is None:
        raise UnknownClinic([str(clinic_id)])
    return _clinic(row)


def clinic_by_slug(connection: Connection, slug: str) -> Clinic:
    """The clinic called ``slug``, active or not.

    Raises:
        UnknownClinic: If there is none.
    """
    return clinics_by_slugs(connection, [slug])[slug]


def clinics_by_slugs(connection: Connection, slugs: Iterable[str]) -> dict[str, Clinic]:
    """The clinics with these slugs, active or not, in that order.

    Raises:
        UnknownClinic: If any is missing; names all that are.
    """
    wanted = list(dict.fromkeys(slugs))
    rows = connection.execute(select(*_COLUMNS).where(clinics.c.slug.in_(wanted)))
    found = {clinic.slug: clinic for clinic in map(_clinic, rows)}
    if missing := [slug for slug in wanted if slug not in found]:
        raise UnknownClinic(missing)
    return {slug: found[slug] for slug in wanted}


def active_clinics(connection: Connection) -> list[Clinic]:
    """The clinics that are synced, by slug."""
    rows = connection.execute(select(*_COLUMNS).where(is_synced()).order_by(clinics.c.slug))
    return [_clinic(row) for row in rows]


def all_clinics(connection: Connection) -> list[Clinic]:
    """Every clinic, active or not, by slug."""
    rows = connection.execute(select(*_COLUMNS).order_by(clinics.c.slug))
    return [_clinic(row) for row in rows]


def readdress_clinic(connection: Connection, slug: str, provider_base_url: str) -> Clinic:
    """Set the address of the clinic's system, and activate the clinic.

    Raises:
        UnknownClinic: If there is none.
    """
    statement = (
        update(clinics)
        .where(clinics.c.slug == slug)
        .values(
            provider_base_url=provider_base_url.rstrip("/"), is_active=True, updated_at=func.now()
        )
        .returning(*_COLUMNS)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise UnknownClinic([slug])
    return _clinic(row)


def set_timezone(connection: Connection, clinic: Clinic, timezone: str) -> None:
    """Change the time zone of the clinic's calendar; its schedules follow by a trigger."""
    connection.execute(
        update(clinics)
        .where(clinics.c.id == clinic.id)
        .values(timezone=zone_named(timezone).key, updated_at=func.now())
    )


def deactivate_clinic(connection: Connection, slug: str) -> None:
    """Deactivate the clinic. Its stored data stays.

    Raises:
        UnknownClinic: If there is none.
    """
    statement = (
        update(clinics)
        .where(clinics.c.slug == slug)
        .values(is_active=False, updated_at=func.now())
        .returning(clinics.c.id)
    )
    if connection.execute(statement).one_or_none() is None:
        raise UnknownClinic([slug])


def set_resources(connection: Connection, clinic: Clinic, resources: ResourceFilter) -> None:
    """Replace which resources of the clinic's calendar are synced."""
    included = None if resources.included is None else sorted(resources.included)
    connection.execute(
        update(clinics)
        .where(clinics.c.id == clinic.id)
        .values(
            included_resources=included,
            excluded_resources=sorted(resources.excluded) or None,
            updated_at=func.now(),
        )
    )


def schedule_config(connection: Connection, clinic: Clinic) -> ScheduleConfig:
    """The clinic's schedule; the defaults where none is stored."""
    table = clinic_schedule_configs
    row = connection.execute(select(table).where(table.c.clinic_id == clinic.id)).one_or_none()
    return stored_config(row)


def schedule_configs(connection: Connection) -> dict[UUID, ScheduleConfig]:
    """The stored schedules by clinic; clinics with the defaults may be left out."""
    rows = connection.execute(select(clinic_schedule_configs))
    return {row.clinic_id: stored_config(row) for row in rows}


def stored_config(row: Row[*tuple[object, ...]] | None) -> ScheduleConfig:
    """The schedule in a row of ``clinic_schedule_configs``, which operators may edit by hand.

    Text that is no cron expression is returned as it is; numbers are limited to the range that
    syncs support.
    """
    if row is None:
        return ScheduleConfig()
    return ScheduleConfig(
        sync_schedules={
            phase: _cron_text(row.sync_schedules[phase]) if phase in row.sync_schedules else cron
            for phase, cron in DEFAULT_SCHEDULES.items()
        },
        days_ahead=min(row.days_ahead, DAYS_AHEAD),
        lookback_days=min(row.lookback_days, MAX_REQUEST_DAYS - 1),
        parallel_batch_size=min(row.parallel_batch_size, MAX_BATCH),
    )


def _cron_text(stored: object) -> str:
    if stored is None:
        return OFF
    return stored if isinstance(stored, str) else json.dumps(stored)


def set_schedule_config(connection: Connection, clinic: Clinic, config: ScheduleConfig) -> None:
    """Replace the clinic's schedule. The caller checks the cron expressions."""
    values = {
        "sync_schedules": {str(phase): cron for phase, cron in config.sync_schedules.items()},
        "days_ahead": config.days_ahead,
        "lookback_days": config.lookback_days,
        "parallel_batch_size": config.parallel_batch_size,
        "updated_at": func.now(),
    }
    connection.execute(
        insert(clinic_schedule_configs)
        .values(clinic_id=clinic.id, **values)
        .on_conflict_do_update(index_elements=["clinic_id"], set_=values)
    )
