"""Switch a clinic from the v4.0 service to this pipeline, and back: each in one transaction.

The v4.0 schedule is turned off before ours writes the application, under the clinic's lock, so
that no sync of ours runs between the two.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from pims_pipeline.adoption.application import tables_written
from pims_pipeline.adoption.importing import checked_schedule
from pims_pipeline.adoption.modes import adopted_clinic, enter_mode
from pims_pipeline.domain.adoption.clinics import AdoptionRefused, schedule_from
from pims_pipeline.domain.adoption.switching import (
    Schedule,
    switched_off,
    switched_on,
    why_not,
)
from pims_pipeline.domain.adoption.v4 import AdoptionMode, V4Schedule
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import OFF
from pims_pipeline.store.adoptions import (
    Adoption,
    keep_their_schedule,
    log_step,
    steps_of,
)
from pims_pipeline.store.clinics import clinic_by_slug, schedule_config, set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.v4.clinics import SCHEDULE_TABLE
from pims_pipeline.store.v4.installation import (
    Installation,
    find_installation,
    require_rights,
)
from pims_pipeline.store.v4.schedules import locked_schedule, set_schedule

SWITCH = "switch"
SWITCH_BACK = "switch back"
"""The steps in the log of adoptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchResult:
    """What was done.

    Attributes:
        changed: Whether anything was.
        turned_on: Our phases that were off here and ran in v4.0, with their crons.
        edited: Phases of theirs that someone edited while they were off, and that stay so.
        runs_there: Phases that run in v4.0 although the clinic is live.
    """

    clinic: Clinic
    changed: bool
    turned_on: dict[str, str]
    edited: tuple[str, ...] = ()
    runs_there: tuple[str, ...] = ()


def switch(engine: Engine, slug: str, *, accept: int, now: datetime) -> SwitchResult:
    """Turn the v4.0 schedule of the clinic off and ours on, and make it live.

    Args:
        engine: On the database that holds their tables and ours.
        slug: The clinic.
        accept: How many differences of the last comparison are accepted.
        now: The present; aware.

    Raises:
        AdoptionRefused: If the last comparison does not agree or is too old, or their schedule
            cannot be turned off.
        ApplicationRefused: If their tables refuse the write.
        ClinicDeactivated: If the clinic was deactivated.
        LockTimeout: If a sync of the clinic writes for too long.
        MissingRight: If the login may not write their tables.
        NotAdopted: If the clinic was not adopted.
        UnknownClinic: If there is no such clinic here.
    """
    with transaction(engine) as connection:
        clinic, adoption = _locked(connection, slug)
        if adoption.mode is AdoptionMode.LIVE:
            return _live_already(connection, clinic, adoption)
        _check(clinic, adoption, accept, now)
        installation = _writable(connection, adoption)
        stored = _stored(connection, installation, adoption, clinic)
        off = switched_off(stored)
        if off != stored:
            set_schedule(connection, installation, adoption.their_clinic_id, off)
        keep_their_schedule(connection, clinic.id, stored)
        turned_on = _turn_ours_on(connection, clinic, stored)
        enter_mode(connection, clinic, adoption, AdoptionMode.LIVE)
        differences = (adoption.last_diff or {}).get("differences")
        details = {"differences": differences, "accepted": accept, "turned on here": turned_on}
        log_step(connection, SWITCH, details, clinic_id=clinic.id)
        return SwitchResult(clinic=clinic, changed=True, turned_on=turned_on)


def switch_back(engine: Engine, slug: str) -> SwitchResult:
    """Turn the v4.0 schedule of the clinic on again, and make it shadow.

    Phases of theirs that someone edited while they were off stay as they are. Phases of ours that
    the switch turned on are off again, unless someone changed them.

    Raises:
        As ``switch``, without the comparison.
    """
    with transaction(engine) as connection:
        clinic, adoption = _locked(connection, slug)
        if adoption.mode is not AdoptionMode.LIVE:
            return SwitchResult(clinic=clinic, changed=False, turned_on={})
        installation = find_installation(connection, adoption.their_schema)
        edited = _turn_theirs_on(connection, installation, adoption)
        _turn_ours_off(connection, clinic)
        keep_their_schedule(connection, clinic.id, None)
        enter_mode(connection, clinic, adoption, AdoptionMode.SHADOW)
        log_step(
            connection,
            SWITCH_BACK,
            {"edited there": ", ".join(edited) or None},
            clinic_id=clinic.id,
        )
        return SwitchResult(clinic=clinic, changed=True, turned_on={}, edited=edited)


def _locked(connection: Connection, slug: str) -> tuple[Clinic, Adoption]:
    """The clinic and its adoption; no sync writes until the transaction ends."""
    lock_clinic(connection, clinic_by_slug(connection, slug).id)
    return adopted_clinic(connection, slug, lock=True)


def _live_already(connection: Connection, clinic: Clinic, adoption: Adoption) -> SwitchResult:
    installation = find_installation(connection, adoption.their_schema)
    found = locked_schedule(connection, installation, adoption.their_clinic_id)
    stored = None if found is None else found.sync_schedules
    runs = () if stored is None else tuple(sorted(_running(stored)))
    return SwitchResult(clinic=clinic, changed=False, turned_on={}, runs_there=runs)


def _running(stored: Schedule) -> dict[str, str]:
    """The phases that a schedule of theirs runs, with their crons; none runs by a bad one."""
    read = schedule_from(V4Schedule(sync_schedules=stored, timezone=None, target_room_id=None))
    crons, _notes = checked_schedule(read)
    return {phase.value: cron for phase, cron in crons.items() if cron != OFF}


def _check(clinic: Clinic, adoption: Adoption, accept: int, now: datetime) -> None:
    slug = clinic.slug
    if adoption.mode is AdoptionMode.OFF:
        raise AdoptionRefused(
            f"clinic {slug!r} is not synced here; run `pims adopt mode --clinic {slug} shadow`, "
            "sync and compare it, and switch it then; nothing was changed"
        )
    check_use(clinic, ClinicUse.SYNC)
    why = why_not(adoption.last_diff, adoption.last_diff_at, now, accept)
    if why is not None:
        raise AdoptionRefused(
            f"clinic {slug!r} is not switched: {why}; compare it with `pims adopt diff --clinic "
            f"{slug}`, or accept so many differences with --accept N; nothing was changed"
        )


def _writable(connection: Connection, adoption: Adoption) -> Installation:
    installation = find_installation(connection, adoption.their_schema)
    tables = {
        **tables_written(installation.layout),
        SCHEDULE_TABLE[installation.layout]: ["SELECT", "UPDATE"],
    }
    require_rights(connection, installation, tables)
    return installation


def _stored(
    connection: Connection, installation: Installation, adoption: Adoption, clinic: Clinic
) -> Schedule:
    found = locked_schedule(connection, installation, adoption.their_clinic_id)
    if found is None or found.sync_schedules is None:
        what = "stores no schedule" if found is None else "has another form of schedule, or several"
        raise AdoptionRefused(
            f"clinic {clinic.slug!r} is not switched: v4.0 {what}, so nothing shows how to turn it "
            "off; store one there with every phase disabled, and switch again; nothing was changed"
        )
    return found.sync_schedules


def _turn_ours_on(connection: Connection, clinic: Clinic, stored: Schedule) -> dict[str, str]:
    """Give our phases that are off the crons with which v4.0 ran them; returns those."""
    config = schedule_config(connection, clinic)
    turned_on = {
        name: cron
        for name, cron in _running(stored).items()
        if config.sync_schedules[Phase(name)] == OFF
    }
    if turned_on:
        crons = {phase: turned_on.get(phase, cron) for phase, cron in config.sync_schedules.items()}
        set_schedule_config(connection, clinic, replace(config, sync_schedules=crons))
    return turned_on


def _turn_theirs_on(
    connection: Connection, installation: Installation, adoption: Adoption
) -> tuple[str, ...]:
    """Restore their schedule; returns the phases that were edited while they were off."""
    kept: Any = adoption.their_schedule
    found = locked_schedule(connection, installation, adoption.their_clinic_id)
    if kept is None:
        return ()
    if found is None or found.sync_schedules is None:
        return ("the whole schedule",)
    restored = switched_on(kept, found.sync_schedules)
    if restored.schedule != found.sync_schedules:
        set_schedule(connection, installation, adoption.their_clinic_id, restored.schedule)
    return restored.edited


def _turn_ours_off(connection: Connection, clinic: Clinic) -> None:
    """Turn those of our phases off that the last switch turned on and no one changed since."""
    steps = [each for each in steps_of(connection, clinic.id) if each.step == SWITCH]
    turned_on = dict(steps[-1].details.get("turned on here") or {}) if steps else {}
    config = schedule_config(connection, clinic)
    crons = {
        phase: OFF if turned_on.get(phase) == cron else cron
        for phase, cron in config.sync_schedules.items()
    }
    if crons != dict(config.sync_schedules):
        set_schedule_config(connection, clinic, replace(config, sync_schedules=crons))
