"""A case with everything that happened to it, and where each change came from.

Pure: reading a case's story is the store's. The JSON that the API and the commands show is made
from this in ``pims_pipeline.wire.cases``; its fields are explained in ``docs/cli.md``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.queries.case_history import CaseHistory, CredentialAccess, StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The vendor's record that caused a change.

    Attributes:
        digest: Of the record's content.
        vendor_updated_at: Aware UTC. None when it is not known: the vendor tells it of
            appointments alone, and it is kept of the one that is landed now.
    """

    record: Literal["appointment", "consultation"]
    digest: str
    vendor_updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceEvent:
    """One event of a case, and where it came from.

    Attributes:
        occurred_at_local: In the clinic's time zone.
        run_url: Where Dagster shows the run that did it.
        source: None when no record of the vendor's caused it.
        accesses: The decryptions of the clinic's secrets by the same run, oldest first.
    """

    stored: StoredEvent
    occurred_at_local: datetime
    run_url: str
    source: Source | None
    accesses: tuple[CredentialAccess, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """A case, and everything that happened to it, oldest first."""

    case: CaseHistory
    events: tuple[ProvenanceEvent, ...]


def run_url(dagster_ui_url: str, run_id: str) -> str:
    """Where the Dagster UI, which begin at ``dagster_ui_url``, show a run."""
    return f"{dagster_ui_url.rstrip('/')}/runs/{run_id}"


def provenance_of(story: CaseHistory, *, dagster_ui_url: str) -> Provenance:
    """Where a case and each change of it come from.

    Args:
        story: As stored.
        dagster_ui_url: Where the Dagster UI begin, such as ``http://127.0.0.1:3000``.
    """
    return Provenance(story, tuple(_event(story, event, dagster_ui_url) for event in story.events))


def _event(story: CaseHistory, event: StoredEvent, dagster_ui_url: str) -> ProvenanceEvent:
    return ProvenanceEvent(
        stored=event,
        occurred_at_local=event.occurred_at.astimezone(ZoneInfo(story.timezone)),
        run_url=run_url(dagster_ui_url, event.run_id),
        source=_source(event),
        accesses=tuple(each for each in story.accesses if each.run_id == event.run_id),
    )


def _source(event: StoredEvent) -> Source | None:
    if event.source_digest is None:
        return None
    return Source(
        record="consultation" if event.kind is EventKind.ENRICHED else "appointment",
        digest=event.source_digest,
        vendor_updated_at=event.vendor_updated_at,
    )
