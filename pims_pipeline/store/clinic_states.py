"""How each clinic stands: its phases, its login, and what waits for a person. Read-only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, select

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus, SyncType
from pims_pipeline.store.audits import Audit, latest_audits
from pims_pipeline.store.credentials import credential_status
from pims_pipeline.store.holds import open_hold_count
from pims_pipeline.store.tables import (
    CredentialStatus,
    case_sync_audits,
    pims_sessions,
    sync_failures,
)

SessionStatus = Literal["none", "stored", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """Whether a login can be spared. Moments are aware UTC.

    ``stored`` says that the vendor may still accept it: it can have ended it earlier.
    """

    status: SessionStatus
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicState:
    """How one clinic stands.

    Attributes:
        last_success: When each phase last ended well, whatever its window; aware UTC.
        latest: Each phase's newest audit.
        open_holds: Windows whose deletions wait for a person.
        dead_letters: Records that failed and have not succeeded since.
    """

    clinic: Clinic
    last_success: Mapping[SyncType, datetime]
    latest: Mapping[SyncType, Audit]
    credentials: CredentialStatus | None
    session: SessionState
    open_holds: int
    dead_letters: int


def clinic_state(connection: Connection, clinic: Clinic, now: datetime) -> ClinicState:
    """How the clinic stands at ``now`` (aware)."""
    return ClinicState(
        clinic=clinic,
        last_success=_last_success(connection, clinic),
        latest={audit.sync_type: audit for audit in latest_audits(connection, clinic.id)},
        credentials=credential_status(connection, clinic),
        session=_session(connection, clinic, now),
        open_holds=open_hold_count(connection, clinic),
        dead_letters=_dead_letters(connection, clinic),
    )


def _last_success(connection: Connection, clinic: Clinic) -> dict[SyncType, datetime]:
    table = case_sync_audits
    rows = connection.execute(
        select(table.c.sync_type, func.max(table.c.updated_at))
        .where(table.c.clinic_id == clinic.id, table.c.status == AuditStatus.COMPLETED)
        .group_by(table.c.sync_type)
    )
    return {SyncType(sync_type): ended for sync_type, ended in rows}


def _session(connection: Connection, clinic: Clinic, now: datetime) -> SessionState:
    table = pims_sessions
    row = connection.execute(
        select(table.c.expires_at, table.c.last_used_at).where(
            table.c.clinic_id == clinic.id, table.c.provider_type == clinic.provider_type
        )
    ).one_or_none()
    if row is None:
        return SessionState(status="none")
    return SessionState(
        status="stored" if row.expires_at > now else "expired",
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def _dead_letters(connection: Connection, clinic: Clinic) -> int:
    count: int = connection.execute(
        select(func.count())
        .select_from(sync_failures)
        .where(sync_failures.c.clinic_id == clinic.id, sync_failures.c.resolved_at.is_(None))
    ).scalar_one()
    return count
