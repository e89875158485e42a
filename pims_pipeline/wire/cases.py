"""A case with its provenance, and cases in a list."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, Self
from uuid import UUID

from pims_pipeline.domain.phases import PhaseName
from pims_pipeline.store.queries.case_history import CredentialUse
from pims_pipeline.store.queries.cases import ListedCase
from pims_pipeline.sync import provenance
from pims_pipeline.wire.shape import LocalTimestamp, Model, Timestamp

Kind = Literal[
    "created",
    "updated",
    "rescheduled",
    "status_changed",
    "enriched",
    "soft_deleted",
    "restored",
    "adopted",
]
Status = Literal["draft", "ongoing", "completed", "reviewed"]
Type = Literal["checkup", "surgery", "emergency", "follow_up"]


class CredentialAccess(Model):
    """One decryption of the clinic's secrets, by the run that made the change."""

    purpose: str
    accessed_at: Timestamp

    @classmethod
    def of(cls, access: CredentialUse) -> Self:
        """Build it from an entry of the access log."""
        return cls(purpose=access.purpose, accessed_at=access.accessed_at)


class Source(Model):
    """The vendor's record that caused a change."""

    record: Literal["appointment", "consultation"]
    digest: str
    vendor_updated_at: Timestamp | None

    @classmethod
    def of(cls, source: provenance.RecordSource) -> Self:
        """Build it from the source of an event."""
        return cls(
            record=source.record,
            digest=source.digest,
            vendor_updated_at=source.vendor_updated_at,
        )


class ProvenanceEvent(Model):
    """One change of a case; ``changes`` are ``[before, after]`` by field.

    No sync imports an adopted case: ``phase``, ``syncId`` and ``runUrl`` are null.
    """

    seq: int
    kind: Kind
    occurred_at: Timestamp
    occurred_at_local: LocalTimestamp
    phase: PhaseName | None
    sync_id: UUID | None
    run_id: str
    run_url: str | None
    partition_key: str
    source: Source | None
    changes: dict[str, tuple[Any, Any]]
    credential_accesses: list[CredentialAccess]

    @classmethod
    def of(cls, event: provenance.TracedEvent) -> Self:
        """Build it from an event of a case."""
        stored = event.stored
        return cls(
            seq=stored.seq,
            kind=stored.kind,
            occurred_at=stored.occurred_at,
            occurred_at_local=event.occurred_at_local,
            phase=stored.phase,
            sync_id=stored.audit_id,
            run_id=stored.run_id,
            run_url=event.run_url,
            partition_key=stored.partition_key,
            source=Source.of(event.source) if event.source else None,
            changes=dict(stored.changes),
            credential_accesses=[CredentialAccess.of(each) for each in event.accesses],
        )


class Provenance(Model):
    """A case and its events, oldest first."""

    id: UUID
    clinic: str
    timezone: str
    provider_type: str | None
    pims_id: str | None
    patient_name: str
    patient_species: str | None
    client_name: str
    client_phone: str | None
    scheduled_date: date
    scheduled_start: Timestamp | None
    scheduled_end: Timestamp | None
    status: Status
    case_type: Type
    visibility: str
    metadata: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp
    events: list[ProvenanceEvent]

    @classmethod
    def of(cls, found: provenance.CaseProvenance) -> Self:
        """Build it from a case and its events."""
        case = found.case
        return cls(
            id=case.id,
            clinic=case.clinic,
            timezone=case.timezone,
            provider_type=case.provider_type,
            pims_id=case.pims_id,
            patient_name=case.patient_name,
            patient_species=case.patient_species,
            client_name=case.client_name,
            client_phone=case.client_phone,
            scheduled_date=case.scheduled_date,
            scheduled_start=case.scheduled_start,
            scheduled_end=case.scheduled_end,
            status=case.status,
            case_type=case.case_type,
            visibility=case.visibility,
            metadata=dict(case.metadata),
            created_at=case.created_at,
            updated_at=case.updated_at,
            events=[ProvenanceEvent.of(each) for each in found.events],
        )


class CaseSummary(Model):
    """A case in a list."""

    id: UUID
    pims_id: str | None
    scheduled_date: date
    scheduled_start: Timestamp | None
    patient_name: str
    patient_species: str | None
    client_name: str
    status: Status
    case_type: Type
    soft_deleted: bool
    enriched: bool
    updated_at: Timestamp

    @classmethod
    def of(cls, case: ListedCase) -> Self:
        """Build it from a listed case."""
        return cls(
            id=case.id,
            pims_id=case.pims_id,
            scheduled_date=case.scheduled_date,
            scheduled_start=case.scheduled_start,
            patient_name=case.patient_name,
            patient_species=case.patient_species,
            client_name=case.client_name,
            status=case.status,
            case_type=case.case_type,
            soft_deleted=case.soft_deleted,
            enriched=case.enriched,
            updated_at=case.updated_at,
        )


class CaseList(Model):
    """A clinic's cases, latest appointment first."""

    clinic: str
    cases: list[CaseSummary]

    @classmethod
    def of(cls, clinic: str, cases: Sequence[ListedCase]) -> Self:
        """Build it from the cases of the clinic with that slug."""
        return cls(clinic=clinic, cases=[CaseSummary.of(each) for each in cases])
