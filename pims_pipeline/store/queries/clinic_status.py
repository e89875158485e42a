"""The status of each clinic: its phases, its login, its holds and failures. Read-only.

One statement per table, whatever the number of clinics.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.moments import latest_known
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule
from pims_pipeline.store.audits import Audit, audit_of
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.queries.last_syncs import NEVER, LastSyncs, last_syncs
from pims_pipeline.store.queries.open_failures import FailureCounts, failure_counts
from pims_pipeline.store.schedules import Skips, active_schedules, skipped_ticks
from pims_pipeline.store.tables.access import pims_credentials, pims_sessions
from pims_pipeline.store.tables.syncs import reconciliation_holds

SessionStatus = Literal["none", "stored", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicSession:
    """Whether a session is stored that saves a login. Times are aware UTC.

    ``stored`` means that the vendor may still accept it; it can have ended earlier.
    """

    status: SessionStatus
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


NO_SESSION = ClinicSession(status="none")
NO_FAILURES = FailureCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseState:
    """The status of a phase of a clinic, over any window. Times are aware UTC.

    Attributes:
        last: When it last succeeded, and when it was last completed or held.
        latest: Its newest audit.
        skips: Ticks at which a run of it was still active.
    """

    last: LastSyncs = NEVER
    latest: Audit | None = None
    skips: Skips | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicState:
    """The status of one clinic.

    Attributes:
        schedule: None when the clinic is not active.
        open_holds: Windows whose deletions wait for a decision.
        failures: Records that failed and have not succeeded since.
    """

    clinic: Clinic
    schedule: ClinicSchedule | None
    phases: Mapping[Phase, PhaseState]
    credentials: CredentialStatus | None
    session: ClinicSession
    open_holds: int
    failures: FailureCounts


def clinic_states(connection: Connection, now: datetime) -> list[ClinicState]:
    """The status of every clinic at ``now`` (aware), by slug."""
    schedules = {each.clinic.id: each for each in active_schedules(connection)}
    phases = phase_states(connection, now)
    credentials = _credentials(connection)
    sessions = _sessions(connection, now)
    holds = _open_holds(connection)
    failures = failure_counts(connection)
    return [
        ClinicState(
            clinic=clinic,
            schedule=schedules.get(clinic.id),
            phases={phase: phases[clinic.id, phase] for phase in Phase},
            credentials=credentials.get((clinic.id, clinic.provider_type)),
            session=sessions.get((clinic.id, clinic.provider_type), NO_SESSION),
            open_holds=holds.get(clinic.id, 0),
            failures=failures.get(clinic.id, NO_FAILURES),
        )
        for clinic in all_clinics(connection)
    ]


def phase_states(connection: Connection, now: datetime) -> Mapping[tuple[UUID, Phase], PhaseState]:
    """The status of each phase of each clinic at ``now`` (aware).

    A phase that never ran has an empty status. Audits that a wrong clock wrote in the future do
    not count.
    """
    skips = skipped_ticks(connection)
    latest = {(each.clinic_id, each.sync_type): each for each in _newest_audits(connection, now)}
    states: defaultdict[tuple[UUID, Phase], PhaseState] = defaultdict(PhaseState)
    for (clinic_id, phase), last in last_syncs(connection, now).items():
        states[clinic_id, phase] = PhaseState(
            last=last,
            latest=latest.get((clinic_id, phase)),
            skips=skips.get(clinic_id, {}).get(phase),
        )
    return states


def _newest_audits(connection: Connection, now: datetime) -> list[Audit]:
    """Of each clinic and phase that ever ran."""
    rows = connection.execute(
        text(
            """
            SELECT newest.*
            FROM clinics AS c CROSS JOIN unnest(CAST(:phases AS text[])) AS p (phase)
            CROSS JOIN LATERAL (
                SELECT a.* FROM case_sync_audits AS a
                WHERE a.clinic_id = c.id AND a.sync_type = p.phase AND a.created_at <= :latest
                ORDER BY a.created_at DESC LIMIT 1) AS newest
            """
        ),
        {"phases": [phase.value for phase in Phase], "latest": latest_known(now)},
    )
    return [audit_of(row) for row in rows]


def _credentials(connection: Connection) -> dict[tuple[UUID, str], CredentialStatus]:
    table = pims_credentials
    rows = connection.execute(select(table.c.clinic_id, table.c.provider_type, table.c.status))
    return {(row.clinic_id, row.provider_type): CredentialStatus(row.status) for row in rows}


def _sessions(connection: Connection, now: datetime) -> dict[tuple[UUID, str], ClinicSession]:
    table = pims_sessions
    rows = connection.execute(
        select(table.c.clinic_id, table.c.provider_type, table.c.expires_at, table.c.last_used_at)
    )
    return {
        (row.clinic_id, row.provider_type): ClinicSession(
            status="stored" if row.expires_at > now else "expired",
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )
        for row in rows
    }


def _open_holds(connection: Connection) -> dict[UUID, int]:
    """How many each clinic has; those that have none are left out."""
    table = reconciliation_holds
    rows = connection.execute(
        select(table.c.clinic_id, func.count())
        .where(table.c.status == "open")
        .group_by(table.c.clinic_id)
    )
    return dict(rows.all())
