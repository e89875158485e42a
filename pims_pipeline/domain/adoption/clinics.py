"""What a clinic of a v4.0 installation becomes here: slug, provider, time zone, schedule.

Pure. What an operator says takes precedence; what is not known and cannot be assumed is refused
with the option that says it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pims_pipeline.domain.adoption.v4 import Layout, V4Clinic, V4Schedule
from pims_pipeline.domain.clinics import SLUG_PATTERN, checked_slug, zone_named
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import DEFAULT_SCHEDULES, OFF

THEIR_DEFAULT_ZONE = "America/Los_Angeles"
"""The zone that a deployed v4.0 service uses for a clinic without one."""
_PROVIDERS: Mapping[str, str] = {
    "idexx": "idexx_neo",
    "idexx_neo": "idexx_neo",
    "idexx-neo": "idexx_neo",
    "idexx neo": "idexx_neo",
    "pims:idexx-neo": "idexx_neo",
}
PHASES_THERE: Mapping[str, Phase] = {
    "inbound": Phase.INBOUND,
    "cases": Phase.CASES,
    "reconciliation": Phase.RECONCILIATION,
    "reconcile": Phase.RECONCILIATION,
}


class AdoptionRefused(UserFacingError):
    """The clinic cannot be adopted before something is said or corrected; nothing was changed."""


class UnknownV4Clinic(UserFacingError):
    """The v4.0 installation has no such clinic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicAnswers:
    """What an operator says about the clinic; None leaves it to what is stored.

    Attributes:
        slug: Its name here, where theirs cannot be one.
    """

    slug: str | None = None
    timezone: str | None = None
    provider_type: str | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicRegistration:
    """A clinic as it is to be registered.

    Attributes:
        id: Theirs and ours.
        notes: What was assumed, for the operator.
    """

    id: UUID
    slug: str
    name: str
    timezone: str
    provider_type: str
    base_url: str
    notes: tuple[str, ...]


def clinic_named(clinics: Iterable[V4Clinic], name: str) -> V4Clinic:
    """The clinic with that slug or id.

    Raises:
        UnknownV4Clinic: If there is none, or several have that slug.
    """
    clinics = list(clinics)
    found = [clinic for clinic in clinics if name in {clinic.slug, str(clinic.id)}]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownV4Clinic(
            f"{len(found)} clinics of the v4.0 installation have the slug {name!r}; name one by "
            "its id"
        )
    raise UnknownV4Clinic(
        f"the v4.0 installation has no clinic {name!r}; `pims adopt inspect` shows its clinics"
    )


def facts_of(
    clinic: V4Clinic,
    layout: Layout,
    schedule: V4Schedule | None,
    answers: ClinicAnswers,
    *,
    credentials_for: str | None = None,
) -> ClinicRegistration:
    """What the clinic is registered with.

    Args:
        clinic: The clinic.
        layout: Of its installation.
        schedule: The clinic's, if there is one.
        answers: What the operator says.
        credentials_for: The provider that its credentials name, if they do.

    Raises:
        AdoptionRefused: If something is not known; says the option to use.
    """
    timezone, notes = _zone(clinic, layout, schedule, answers.timezone)
    if answers.base_url is None:
        raise AdoptionRefused(
            f"v4.0 does not store the address of the system of clinic {_named(clinic)}; say it "
            "with --base-url"
        )
    return ClinicRegistration(
        id=clinic.id,
        slug=_slug(clinic, answers.slug),
        name=clinic.name,
        timezone=timezone,
        provider_type=_provider(clinic, layout, answers.provider_type, credentials_for),
        base_url=answers.base_url,
        notes=notes,
    )


def _named(clinic: V4Clinic) -> str:
    return repr(clinic.slug or str(clinic.id))


def _slug(clinic: V4Clinic, said: str | None) -> str:
    if said is not None:
        return checked_slug(said)
    if clinic.slug is None or not SLUG_PATTERN.fullmatch(clinic.slug):
        raise AdoptionRefused(
            f"clinic {_named(clinic)} has no slug that can be one here (2 to 40 lower-case "
            "letters, digits and hyphens); say one with --slug"
        )
    return clinic.slug


def _provider(
    clinic: V4Clinic, layout: Layout, said: str | None, credentials_for: str | None
) -> str:
    if said is not None:
        return said
    stored = clinic.pims_type or credentials_for
    known = _PROVIDERS.get((stored or "").strip().lower())
    if known is not None:
        return known
    named = f"names its system {stored!r}, which is not known here" if stored else "names no system"
    raise AdoptionRefused(
        f"clinic {_named(clinic)} of the {layout} layout {named}; say it with --provider"
    )


def _zone(
    clinic: V4Clinic, layout: Layout, schedule: V4Schedule | None, said: str | None
) -> tuple[str, tuple[str, ...]]:
    """The time zone, and what was assumed."""
    of_crons = schedule.timezone if schedule else None
    if said is not None or clinic.timezone is not None:
        zone = _checked_zone(clinic, said or clinic.timezone or "")
        if of_crons in {None, zone}:
            return zone, ()
        return zone, (f"its schedule was kept in {of_crons}, and is now read in {zone}",)
    if layout is Layout.DEPLOYED and of_crons in {None, THEIR_DEFAULT_ZONE}:
        note = (
            f"no time zone is stored, which v4.0 reads as {THEIR_DEFAULT_ZONE}; if that is wrong, "
            "adopt it with --timezone"
        )
        return THEIR_DEFAULT_ZONE, (note,)
    hint = f"; its schedule is kept in {of_crons}" if of_crons else ""
    raise AdoptionRefused(
        f"clinic {_named(clinic)} has no time zone in v4.0{hint}; say it with --timezone"
    )


def _checked_zone(clinic: V4Clinic, name: str) -> str:
    try:
        return zone_named(name).key
    except ValueError:
        raise AdoptionRefused(
            f"clinic {_named(clinic)} has the unknown time zone {name!r} in v4.0; say the right "
            "one with --timezone"
        ) from None


@dataclass(frozen=True, slots=True)
class ImportedSchedule:
    """A v4.0 schedule in our terms.

    Attributes:
        crons: By phase a cron expression, not checked yet, or ``OFF``.
        notes: What could not be taken over, for the operator.
    """

    crons: Mapping[Phase, str]
    notes: tuple[str, ...] = field(default=())


def schedule_from(schedule: V4Schedule | None) -> ImportedSchedule:
    """The schedule of a clinic, from either shape of ``sync_schedules``.

    A phase that is disabled or not named is off: the v4.0 service does not run it either. Without
    any stored schedule the defaults hold.
    """
    if schedule is None:
        return ImportedSchedule(DEFAULT_SCHEDULES, ("no schedule is stored; the defaults hold",))
    stored = schedule.sync_schedules
    entries = _of_object(stored) if isinstance(stored, Mapping) else _of_list(stored)
    crons: dict[Phase, str] = dict.fromkeys(Phase, OFF)
    notes: list[str] = []
    for name, cron in entries:
        phase = PHASES_THERE.get(name)
        if phase is None:
            notes.append(f"its schedule has an entry for {name!r}, which is no phase")
        elif cron is not None and crons[phase] == OFF:
            crons[phase] = cron
        elif cron is not None:
            notes.append(f"its schedule has several entries for {phase}; the first one is used")
    return ImportedSchedule(crons, tuple(notes))


def _of_object(stored: Mapping[str, Any]) -> Collection[tuple[str, str | None]]:
    entries = [
        (name, each if isinstance(each, Mapping) else {"cron": each})
        for name, each in stored.items()
    ]
    return [(name, _cron_of(entry)) for name, entry in entries]


def _cron_of(entry: Mapping[str, Any]) -> str | None:
    """The cron expression of an entry that is not disabled."""
    cron = entry.get("cron") if entry.get("enabled", True) is True else None
    return cron if isinstance(cron, str) and cron else None


def _of_list(stored: Sequence[Any]) -> Collection[tuple[str, str | None]]:
    entries = [entry for entry in stored if isinstance(entry, Mapping)]
    return [(str(entry.get("type")), _cron_of(entry)) for entry in entries]
