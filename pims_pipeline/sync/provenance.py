"""A case's provenance as one JSON document: how it stands, and what made it so.

The command line prints it and the API sends it; its names are those of the API, its shape
is told in ``docs/cli.md``. Pure: reading a case's story is the store's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict, final
from zoneinfo import ZoneInfo

from pims_pipeline.domain.cases import EventKind
from pims_pipeline.store.case_stories import CaseStory, CredentialAccess, StoredEvent
from pims_pipeline.sync.results import utc_text


@final
class Access(TypedDict):
    """One decryption of the clinic's credentials or session, by the event's run."""

    purpose: str
    accessedAt: str


@final
class Source(TypedDict):
    """The vendor's record that caused a change.

    ``vendorUpdatedAt`` is None when it is not known: the vendor tells it of the diary's
    records alone, and it is kept of the one that is landed now.
    """

    record: Literal["appointment", "consultation"]
    digest: str
    vendorUpdatedAt: str | None


@final
class ProvenanceEvent(TypedDict):
    """One thing that happened to the case. ``changes`` are ``[before, after]`` by field."""

    seq: int
    kind: str
    occurredAt: str
    occurredAtLocal: str
    phase: str
    syncId: str
    runId: str
    runUrl: str
    partitionKey: str
    source: Source | None
    changes: Mapping[str, Any]
    credentialAccesses: list[Access]


@final
class Provenance(TypedDict):
    """The case, and everything that happened to it, oldest first."""

    id: str
    clinic: str
    timezone: str
    providerType: str | None
    pimsId: str | None
    patientName: str
    patientSpecies: str | None
    clientName: str
    clientPhone: str | None
    scheduledDate: str
    scheduledStart: str | None
    scheduledEnd: str | None
    status: str
    caseType: str
    visibility: str
    metadata: Mapping[str, Any]
    createdAt: str
    updatedAt: str
    events: list[ProvenanceEvent]


def run_url(dagster_ui_url: str, run_id: str) -> str:
    """Where Dagster's pages, which begin at ``dagster_ui_url``, show a run."""
    return f"{dagster_ui_url.rstrip('/')}/runs/{run_id}"


def provenance_result(story: CaseStory, *, dagster_ui_url: str) -> Provenance:
    """What is told of a case.

    Args:
        story: As stored.
        dagster_ui_url: Where Dagster's pages begin, such as ``http://127.0.0.1:3000``.
    """
    return Provenance(
        id=str(story.id),
        clinic=story.clinic,
        timezone=story.timezone,
        providerType=story.provider_type,
        pimsId=story.pims_id,
        patientName=story.patient_name,
        patientSpecies=story.patient_species,
        clientName=story.client_name,
        clientPhone=story.client_phone,
        scheduledDate=story.scheduled_date.isoformat(),
        scheduledStart=_text(story.scheduled_start),
        scheduledEnd=_text(story.scheduled_end),
        status=story.status,
        caseType=story.case_type,
        visibility=story.visibility,
        metadata=story.metadata,
        createdAt=utc_text(story.created_at),
        updatedAt=utc_text(story.updated_at),
        events=[_event(story, event, dagster_ui_url) for event in story.events],
    )


def _event(story: CaseStory, event: StoredEvent, dagster_ui_url: str) -> ProvenanceEvent:
    local = event.occurred_at.astimezone(ZoneInfo(story.timezone))
    return ProvenanceEvent(
        seq=event.seq,
        kind=event.kind.value,
        occurredAt=utc_text(event.occurred_at),
        occurredAtLocal=local.isoformat(timespec="milliseconds"),
        phase=event.phase.value,
        syncId=str(event.audit_id),
        runId=event.run_id,
        runUrl=run_url(dagster_ui_url, event.run_id),
        partitionKey=event.partition_key,
        source=_source(event),
        changes=event.changes,
        credentialAccesses=[
            _access(access) for access in story.accesses if access.run_id == event.run_id
        ],
    )


def _source(event: StoredEvent) -> Source | None:
    if event.source_digest is None:
        return None
    return Source(
        record="consultation" if event.kind is EventKind.ENRICHED else "appointment",
        digest=event.source_digest,
        vendorUpdatedAt=_text(event.vendor_updated_at),
    )


def _access(access: CredentialAccess) -> Access:
    return Access(purpose=access.purpose, accessedAt=utc_text(access.accessed_at))


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None
