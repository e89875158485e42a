"""The rows of a v4.0 installation as values. The names of their columns stay in ``store/v4``.

Pure. Add a value here when something of theirs is read for the first time. Times are aware UTC.
Personal data and secrets have no repr.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import business_date


class Layout(StrEnum):
    """Which of the two table layouts a v4.0 installation has.

    Attributes:
        DOCUMENTED: The one that the architecture document describes.
        DEPLOYED: The one that runs.
    """

    DOCUMENTED = "documented"
    DEPLOYED = "deployed"


class AdoptionMode(StrEnum):
    """What is done for an adopted clinic.

    Attributes:
        SHADOW: It is synced into our tables; theirs are only read.
        LIVE: It is synced into our tables, and their cases are written from those.
        OFF: It is not synced; no table of theirs is read or written for it.
    """

    SHADOW = "shadow"
    LIVE = "live"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Clinic:
    """A clinic.

    Attributes:
        slug: None if it has none.
        pims_type: Their word for the clinic's system, such as ``idexx``; None if not stored.
        timezone: As stored; None means ``America/Los_Angeles`` in the deployed layout.
        is_in_use: Whether it is active there.
    """

    id: UUID
    name: str
    slug: str | None
    pims_type: str | None
    timezone: str | None
    is_in_use: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Patient:
    """Whom a case is about; what is not stored is None."""

    name: str | None = field(default=None, repr=False)
    species: str | None = None
    breed: str | None = None
    owner_name: str | None = field(default=None, repr=False)
    owner_phone: str | None = field(default=None, repr=False)
    owner_email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Case:
    """A case.

    Attributes:
        external_id: ``external_id``, in the documented layout ``pims_id``, as stored.
        appointment_id: The vendor's appointment id in it; None for a case that people made.
        source: Who made it, such as ``pims:idexx-neo``; None in the documented layout.
        scheduled_at: None in the documented layout, and if it is not stored.
        scheduled_date: As stored in the documented layout; None in the deployed one.
        metadata: An empty object if theirs is none.
        patient: In the deployed layout None if the case has no row in ``patients``.
    """

    id: UUID
    clinic_id: UUID | None
    external_id: str | None
    appointment_id: str | None
    source: str | None
    scheduled_at: datetime | None
    scheduled_date: date | None
    status: str
    case_type: str
    visibility: str
    metadata: Mapping[str, Any] = field(repr=False)
    patient: V4Patient | None
    created_at: datetime
    updated_at: datetime

    def date_in(self, zone: ZoneInfo) -> date | None:
        """The case's date in the clinic's zone; None if it has neither date nor time."""
        if self.scheduled_date is not None:
            return self.scheduled_date
        return None if self.scheduled_at is None else business_date(self.scheduled_at, zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Schedule:
    """When the v4.0 service syncs a clinic.

    Attributes:
        sync_schedules: As stored: a list of ``{type, cron, enabled}`` or an object of crons.
        timezone: In which the crons are read; None if not stored.
        target_room_id: The vendor's id of the only room whose appointments it syncs, if any.
    """

    sync_schedules: Sequence[Any] | Mapping[str, Any]
    timezone: str | None
    target_room_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Credentials:
    """The newest active credentials of a clinic, encrypted.

    Attributes:
        id: Of their row.
        key_id: Names the key; also its salt.
        provider_type: The provider they are for; None in the deployed layout, whose are IDEXX's.
        username: Encrypted, as are ``password`` and ``company_id``; None in the documented
            layout.
        document: In the documented layout all fields as one encrypted JSON; None in the deployed.
    """

    id: UUID
    clinic_id: UUID
    key_id: str
    provider_type: str | None = None
    username: bytes | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)
    company_id: bytes | None = field(default=None, repr=False)
    document: bytes | None = field(default=None, repr=False)
