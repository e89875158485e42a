"""A case as people ask for it: how it stands, and everything that happened to it.

Read-only. Events are written in ``pims_pipeline.store.events``, cases in
``pims_pipeline.store.cases``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from pims_pipeline.domain.cases import EventKind
from pims_pipeline.store.tables import case_events, cases, clinics


class UnknownCase(Exception):
    """No case has that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One entry of a case's life story, with its cause.

    Attributes:
        occurred_at: Aware UTC.
        source_digest: Digest of the vendor's record that caused it, if one did.
    """

    seq: int
    kind: str
    occurred_at: datetime
    partition_key: str
    run_id: str
    audit_id: UUID
    source_digest: str | None
    changes: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStory:
    """A case and its events, oldest first. Holds people's data: it has no repr of them.

    Attributes:
        timezone: The clinic's zone; the moments are aware UTC.
        metadata: What the syncs and the application keep of the case.
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
    status: str
    case_type: str
    visibility: str
    metadata: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime
    events: tuple[StoredEvent, ...]


def case_story(connection: Connection, case_id: UUID) -> CaseStory:
    """The case with that id, of whichever clinic.

    Raises:
        UnknownCase: If there is none.
    """
    row = connection.execute(
        select(cases, clinics.c.slug, clinics.c.timezone)
        .join(clinics, clinics.c.id == cases.c.clinic_id)
        .where(cases.c.id == case_id)
    ).one_or_none()
    if row is None:
        raise UnknownCase(
            f"no case has the id {case_id}; `pims cases list --clinic …` shows the ids"
        )
    return CaseStory(
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
        status=row.status,
        case_type=row.case_type,
        visibility=row.visibility,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        events=_events(connection, case_id),
    )


def _events(connection: Connection, case_id: UUID) -> tuple[StoredEvent, ...]:
    rows = connection.execute(
        select(case_events).where(case_events.c.case_id == case_id).order_by(case_events.c.seq)
    )
    return tuple(
        StoredEvent(
            seq=row.seq,
            kind=row.kind,
            occurred_at=row.occurred_at,
            partition_key=row.partition_key,
            run_id=row.run_id,
            audit_id=row.audit_id,
            source_digest=row.source_digest,
            changes=row.changes,
        )
        for row in rows
    )


def cases_deleted_by(connection: Connection, audit_ids: list[UUID]) -> list[UUID]:
    """The cases that these audits' phases soft-deleted, in the order it was done."""
    rows = connection.scalars(
        select(case_events.c.case_id)
        .where(
            case_events.c.audit_id.in_(audit_ids),
            case_events.c.kind == EventKind.SOFT_DELETED,
        )
        .order_by(case_events.c.seq)
    )
    return list(rows)
