"""The provenance of a case: its history, and the cause of each change.

Pure. Reading a case history belongs in ``store/queries/case_history.py``, the JSON of the API and
the commands in ``pims_pipeline.wire.cases``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pims_pipeline.domain.clinics import zone_named
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.queries.case_history import CaseHistory, CredentialUse, StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSource:
    """The vendor's record that caused a change.

    Attributes:
        digest: The digest of the record's content.
        vendor_updated_at: Aware UTC. None if it is not known: the vendor shows it of appointments
            only, and the store keeps it of the landed version only.
    """

    record: Literal["appointment", "consultation"]
    digest: str
    vendor_updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedEvent:
    """One event of a case, and its cause.

    Attributes:
        occurred_at_local: In the clinic's time zone.
        run_url: The run that caused it, in the Dagster UI; None if none did.
        source: None if no vendor record caused it.
        accesses: The same run's decryptions of the clinic's secrets, oldest first.
    """

    stored: StoredEvent
    occurred_at_local: datetime
    run_url: str | None
    source: RecordSource | None
    accesses: tuple[CredentialUse, ...]


@dataclass(frozen=True, slots=True)
class CaseProvenance:
    """A case and its events, oldest first."""

    case: CaseHistory
    events: tuple[TracedEvent, ...]


def run_url(dagster_ui_url: str, run_id: str) -> str:
    """The address of a run in the Dagster UI at ``dagster_ui_url``."""
    return f"{dagster_ui_url.rstrip('/')}/runs/{run_id}"


def partition_url(dagster_ui_url: str, asset: str, key: str) -> str:
    """The address of an asset's partition in the Dagster UI at ``dagster_ui_url``."""
    query = f"view=partitions&partition={quote(key, safe='')}"
    return f"{dagster_ui_url.rstrip('/')}/assets/{asset}?{query}"


def provenance_of(history: CaseHistory, *, dagster_ui_url: str) -> CaseProvenance:
    """The provenance of a case.

    Args:
        history: The stored history.
        dagster_ui_url: The address of the Dagster UI, such as ``http://127.0.0.1:3000``.
    """
    events = tuple(_event(history, event, dagster_ui_url) for event in history.events)
    return CaseProvenance(history, events)


def _event(history: CaseHistory, event: StoredEvent, dagster_ui_url: str) -> TracedEvent:
    return TracedEvent(
        stored=event,
        occurred_at_local=event.occurred_at.astimezone(zone_named(history.timezone)),
        run_url=None if event.audit_id is None else run_url(dagster_ui_url, event.run_id),
        source=_source(event),
        accesses=tuple(each for each in history.accesses if each.run_id == event.run_id),
    )


def _source(event: StoredEvent) -> RecordSource | None:
    if event.source_digest is None:
        return None
    return RecordSource(
        record="consultation" if event.kind is EventKind.ENRICHED else "appointment",
        digest=event.source_digest,
        vendor_updated_at=event.vendor_updated_at,
    )
