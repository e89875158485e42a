"""A clinic with its schedule, and its words. The status of its phases is in ``statuses``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.phases import Phase, PhaseName
from pims_pipeline.domain.records.clinic_words import LoggedChange
from pims_pipeline.domain.records.profiles import ZoneMatch
from pims_pipeline.domain.records.word_uses import WordBasis, WordUse
from pims_pipeline.domain.records.words import WordKind, plain_word
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.operations.credentials import LoginCheck
from pims_pipeline.operations.descriptions import DescribedClinic
from pims_pipeline.operations.words import WordOverview
from pims_pipeline.wire.shape import Model, Timestamp, left_out_if_none


class ClinicDocument(Model):
    """A clinic, its schedules, and the dates that they cover."""

    id: UUID
    slug: str
    name: str
    timezone: str
    provider_type: str
    provider_base_url: str
    is_active: bool
    sync_schedules: dict[PhaseName, str]
    days_ahead: int
    lookback_days: int
    parallel_batch_size: int

    @classmethod
    def of(cls, clinic: Clinic, config: ScheduleConfig) -> Self:
        """Build it from a stored clinic."""
        return cls(**_facts(clinic, config))


def _facts(clinic: Clinic, config: ScheduleConfig) -> dict[str, Any]:
    return {
        "id": clinic.id,
        "slug": clinic.slug,
        "name": clinic.name,
        "timezone": clinic.timezone,
        "provider_type": clinic.provider_type,
        "provider_base_url": clinic.provider_base_url,
        "is_active": clinic.is_active,
        "sync_schedules": {phase: config.sync_schedules[phase] for phase in Phase},
        "days_ahead": config.days_ahead,
        "lookback_days": config.lookback_days,
        "parallel_batch_size": config.parallel_batch_size,
    }


class ScheduleDocument(ClinicDocument):
    """A clinic with the next ticks of its phases, and why a phase has none."""

    next_ticks: dict[PhaseName, list[Timestamp]]
    problems: dict[PhaseName, str]

    @classmethod
    def at(
        cls,
        clinic: Clinic,
        config: ScheduleConfig,
        *,
        ticks: Mapping[Phase, Sequence[datetime]],
        problems: Mapping[Phase, str],
    ) -> Self:
        """Build it from a clinic and its ticks.

        Args:
            clinic: The clinic.
            config: As stored.
            ticks: The next ticks by phase, aware.
            problems: Why a schedule is malformed, by phase.
        """
        return cls(**_facts(clinic, config), next_ticks=ticks, problems=problems)


class ClinicList(Model):
    """All clinics."""

    clinics: list[ClinicDocument]

    @classmethod
    def of(cls, found: Iterable[tuple[Clinic, ScheduleConfig]]) -> Self:
        """Build it from clinics and their schedules."""
        return cls(clinics=[ClinicDocument.of(clinic, config) for clinic, config in found])


class WordDocument(Model):
    """A status or type word of a clinic.

    Its basis is ``clinic`` for a meaning of the clinic's own, and ``known`` for one at all clinics.
    ``part`` and ``unknown`` are guesses.
    """

    kind: WordKind
    word: str
    meaning: str
    basis: WordBasis
    appointments: int
    stated_by_vendor: int
    last_date: date | None
    changed_by: Annotated[str | None, left_out_if_none()] = None
    changed_at: Annotated[Timestamp | None, left_out_if_none()] = None

    @classmethod
    def of(cls, use: WordUse, change: LoggedChange | None) -> Self:
        """Build it from a word and the latest change of its meaning at the clinic, if any."""
        return cls(
            kind=use.kind,
            word=use.word,
            meaning=use.meaning,
            basis=use.basis,
            appointments=use.appointments,
            stated_by_vendor=use.stated,
            last_date=use.last_date,
            changed_by=change.changed_by if change else None,
            changed_at=change.changed_at if change else None,
        )


class LocationDocument(Model):
    """A place of a vendor's account that has a calendar of its own."""

    id: str
    name: str
    timezone: str | None


class DescriptionDocument(Model):
    """What a vendor says about a clinic; a field is null where it does not say.

    ``error`` names the kind of the problem if it could not be asked. ``guesses`` are the words of
    its dictionary of which no list says what they mean.
    """

    timezone: str | None
    timezone_match: ZoneMatch
    location_id: str | None
    locations: list[LocationDocument] | None
    appointment_types: int | None
    guesses: list[WordDocument]
    error: Annotated[str | None, left_out_if_none()] = None

    @classmethod
    def of(cls, described: DescribedClinic) -> Self:
        """Build it from what the vendor said."""
        profile, failure = described.profile, described.failure
        return cls(
            timezone=profile.zone,
            timezone_match=described.zone,
            location_id=profile.location_id,
            locations=None
            if profile.locations is None
            else [
                LocationDocument(id=each.id, name=each.name, timezone=each.timezone)
                for each in profile.locations
            ],
            appointment_types=None if profile.types is None else len(profile.types),
            guesses=[WordDocument.of(each, None) for each in described.guesses],
            error=None if failure is None else type(failure).__name__,
        )


class LoginDocument(Model):
    """The result of a login; ``error`` names the kind of the problem if it did not work."""

    clinic: str
    status: CredentialStatus | None
    error: Annotated[str | None, left_out_if_none()] = None
    description: Annotated[DescriptionDocument | None, left_out_if_none()] = None

    @classmethod
    def of(cls, slug: str, done: LoginCheck) -> Self:
        """Build it from a login."""
        failure, described = done.failure, done.description
        return cls(
            clinic=slug,
            status=done.status,
            error=None if failure is None else type(failure).__name__,
            description=None if described is None else DescriptionDocument.of(described),
        )


class WordsDocument(Model):
    """The words of a clinic's known appointments and its own, and how many were changed now."""

    clinic: str
    changed: int
    words: list[WordDocument]

    @classmethod
    def of(cls, overview: WordOverview) -> Self:
        """Build it from an overview."""
        changes = overview.last_changes
        return cls(
            clinic=overview.clinic.slug,
            changed=overview.changed,
            words=[
                WordDocument.of(each, changes.get((each.kind, plain_word(each.word))))
                for each in overview.uses
            ],
        )
