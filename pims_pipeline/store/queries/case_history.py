"""A case and its history. Read-only.

``store.cases`` writes cases and events; ``sync.provenance`` presents the history.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Text, and_, cast, func, select, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.cases.metadata import SOFT_DELETED, json_value
from pims_pipeline.store.tables.access import credential_access_log
from pims_pipeline.store.tables.cases import case_events, cases, pims_appointments
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.syncs import case_sync_audits


class UnknownCase(UserFacingError):
    """No case has that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialUse:
    """One decryption of a clinic's credentials or session, by a run.

    Attributes:
        purpose: A word or two, such as ``login``.
        accessed_at: Aware UTC.
    """

    run_id: str
    purpose: str
    accessed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event of a case, with its cause.

    Attributes:
        occurred_at: Aware UTC.
        audit_id: None for the import of a case, which no sync did; so is ``phase``.
        phase: The phase that did it.
        source_digest: Digest of the vendor's record that caused it, if one did.
        vendor_updated_at: When the vendor had last changed that record, aware UTC; None
            unless it is the record that is landed now, and says so.
        changes: Before and after, by field; where Python cannot hold them, their text under
            ``notAnObject``.
    """

    seq: int
    kind: EventKind
    occurred_at: datetime
    partition_key: str
    run_id: str
    audit_id: UUID | None
    phase: Phase | None
    source_digest: str | None
    vendor_updated_at: datetime | None
    changes: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseHistory:
    """A case and its events, oldest first. Holds personal data: its repr shows none.

    Attributes:
        timezone: The clinic's zone; times are aware UTC.
        metadata: What the syncs and the application keep of the case; where the application
            has put something else than an object there, that under ``notAnObject``.
        accesses: To the clinic's secrets, by the runs of the events; oldest first.
    """

    id: UUID
    clinic: str
    timezone: str
    provider_type: str | None
    pims_id: str | None
    patient_name: str = field(repr=False)
    patient_species: str | None
    client_name: str = field(repr=False)
    client_phone: str | None = field(repr=False)
    scheduled_date: date
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    status: CaseStatus
    case_type: CaseType
    visibility: str
    metadata: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime
    events: tuple[StoredEvent, ...]
    accesses: tuple[CredentialUse, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """A part of a long history: ``limit`` events, after leaving out the ``skip`` newest."""

    skip: int
    limit: int


def event_count(connection: Connection, case_id: UUID) -> int:
    """How many events the case has."""
    counted = select(func.count()).where(case_events.c.case_id == case_id)
    return connection.scalar(counted) or 0


def case_history(
    connection: Connection, case_id: UUID, part: HistoryPart | None = None
) -> CaseHistory:
    """The case with that id, of whichever clinic; with all events, or a part of them.

    Raises:
        UnknownCase: If there is none.
    """
    row = connection.execute(
        select(
            *(column for column in cases.c if column is not cases.c.metadata),
            cast(cases.c.metadata, Text).label("metadata"),
            clinics.c.slug,
            clinics.c.timezone,
        )
        .join(clinics, clinics.c.id == cases.c.clinic_id)
        .where(cases.c.id == case_id)
    ).one_or_none()
    if row is None:
        raise UnknownCase(
            f"no case has the id {case_id}; `pims cases list --clinic …` shows the ids"
        )
    events = _events(connection, case_id, part)
    return CaseHistory(
        id=row.id,
        clinic=row.slug,
        timezone=row.timezone,
        provider_type=row.provider_type,
        pims_id=row.pims_id,
        patient_name=row.patient_name,
        patient_species=row.patient_species,
        client_name=row.client_name,
        client_phone=row.client_phone,
        scheduled_date=row.scheduled_date,
        scheduled_start=row.scheduled_start,
        scheduled_end=row.scheduled_end,
        status=CaseStatus(row.status),
        case_type=CaseType(row.case_type),
        visibility=row.visibility,
        metadata=_metadata(row.metadata),
        created_at=row.created_at,
        updated_at=row.updated_at,
        events=events,
        accesses=_accesses(connection, row.clinic_id, {event.run_id for event in events}),
    )


def _events(
    connection: Connection, case_id: UUID, part: HistoryPart | None
) -> tuple[StoredEvent, ...]:
    landed = pims_appointments
    # The newest first, so that a part needs no count.
    wanted = (
        select(
            *(column for column in case_events.c if column is not case_events.c.changes),
            cast(case_events.c.changes, Text).label("changes"),
            case_sync_audits.c.sync_type,
            landed.c.payload["vendorUpdatedAt"].astext.label("vendor_updated_at"),
        )
        .outerjoin(case_sync_audits, case_sync_audits.c.id == case_events.c.audit_id)
        .outerjoin(cases, cases.c.id == case_events.c.case_id)
        .outerjoin(
            landed,
            and_(
                landed.c.clinic_id == cases.c.clinic_id,
                landed.c.provider_type == cases.c.provider_type,
                landed.c.pims_id == cases.c.pims_id,
                landed.c.digest == case_events.c.source_digest,
            ),
        )
        .where(case_events.c.case_id == case_id)
        .order_by(case_events.c.seq.desc())
    )
    if part is not None:
        wanted = wanted.offset(part.skip).limit(part.limit)
    return tuple(
        StoredEvent(
            seq=row.seq,
            kind=EventKind(row.kind),
            occurred_at=row.occurred_at,
            partition_key=row.partition_key,
            run_id=row.run_id,
            audit_id=row.audit_id,
            phase=None if row.sync_type is None else Phase(row.sync_type),
            source_digest=row.source_digest,
            vendor_updated_at=_moment(row.vendor_updated_at),
            changes=read_changes(row.changes),
        )
        for row in reversed(connection.execute(wanted).all())
    )


def _metadata(text: str) -> Mapping[str, Any]:
    value = json_value(text)
    return value if isinstance(value, dict) else {"notAnObject": value}


def read_changes(text: str) -> Mapping[str, Any]:
    """The changes of an event, from the text of their JSON: before and after, by field."""
    value = json_value(text)
    # Changes of metadata that Python cannot hold are shown as their text.
    return value if isinstance(value, dict) else {"notAnObject": [None, value]}


def _moment(said: str | None) -> datetime | None:
    return datetime.fromisoformat(said) if said else None


def _accesses(
    connection: Connection, clinic_id: UUID, run_ids: Collection[str]
) -> tuple[CredentialUse, ...]:
    log = credential_access_log
    rows = connection.execute(
        select(log.c.run_id, log.c.purpose, log.c.accessed_at)
        .where(log.c.clinic_id == clinic_id, log.c.run_id.in_(run_ids))
        .order_by(log.c.id)
    )
    return tuple(
        CredentialUse(run_id=row.run_id, purpose=row.purpose, accessed_at=row.accessed_at)
        for row in rows
    )


def case_of_appointment(connection: Connection, clinic: Clinic, pims_id: str) -> UUID:
    """The id of the case that the clinic's appointment with that identity made.

    Raises:
        UnknownCase: If it made none.
    """
    found: UUID | None = connection.scalar(
        select(cases.c.id).where(
            cases.c.clinic_id == clinic.id,
            cases.c.provider_type == clinic.provider_type,
            cases.c.pims_id == pims_id,
        )
    )
    if found is None:
        raise UnknownCase(
            f"no case of {clinic.slug} has the vendor identity {pims_id!r}; "
            f"`pims cases list --clinic {clinic.slug} --json` shows them"
        )
    return found


@dataclass(frozen=True, slots=True)
class CaseState:
    """The status of a case, without personal data."""

    id: UUID
    pims_id: str | None
    scheduled_date: date
    status: CaseStatus
    soft_deleted: bool


def case_states(connection: Connection, case_ids: Collection[UUID]) -> dict[UUID, CaseState]:
    """The status of these cases, by id, in the order of their appointments, without unknown ids."""
    rows = connection.execute(
        text(
            f"""
            SELECT c.id, c.pims_id, c.scheduled_date, c.status, {SOFT_DELETED} AS soft_deleted
            FROM cases AS c WHERE c.id = ANY(:ids)
            ORDER BY c.scheduled_date, c.scheduled_start, c.id
            """  # noqa: S608 - fixed column list
        ),
        {"ids": list(case_ids)},
    )
    return {
        row.id: CaseState(
            id=row.id,
            pims_id=row.pims_id,
            scheduled_date=row.scheduled_date,
            status=CaseStatus(row.status),
            soft_deleted=row.soft_deleted,
        )
        for row in rows
    }


def cases_deleted_by(connection: Connection, audit_ids: list[UUID]) -> list[UUID]:
    """The cases that these audits' phases soft-deleted, in the order it was done.

    Without those that are left out: their appointments are at the vendor.
    """
    rows = connection.scalars(
        select(case_events.c.case_id)
        .where(
            case_events.c.audit_id.in_(audit_ids),
            case_events.c.kind == EventKind.SOFT_DELETED,
            case_events.c.changes[("reason", 1)].astext.is_distinct_from(
                RetirementReason.LEFT_OUT.value
            ),
        )
        .order_by(case_events.c.seq)
    )
    return list(rows)
