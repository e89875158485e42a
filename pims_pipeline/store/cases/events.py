"""Case events: append-only, each with its cause."""

from collections.abc import Iterable
from operator import attrgetter
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.canonical import canonical_json
from pims_pipeline.domain.records.cases import CaseEvent
from pims_pipeline.store.database.batches import execute_batches


def record_events(
    connection: Connection,
    clinic: Clinic,
    events: Iterable[CaseEvent],
    *,
    audit_id: UUID,
    run_id: str,
) -> None:
    """Append events, in the order given, naming the run, partition and audit behind them.

    The transaction must hold the clinic's lock (``lock_clinic``), on which the order of the change
    feed depends; without it, the database refuses the events.
    """
    execute_batches(
        connection,
        """
        INSERT INTO case_events (
            clinic_id, case_id, audit_id, run_id, partition_key, kind, changes, source_digest,
            occurred_at)
        SELECT :clinic_id, r.case_id, :audit_id, :run_id, r.partition_key, r.kind,
               CAST(r.changes AS jsonb), r.source_digest, r.occurred_at
        FROM {rows}
        """,
        {
            "case_id": ("uuid", attrgetter("case_id")),
            "partition_key": (
                "text",
                lambda event: partition_key(clinic.slug, event.business_date),
            ),
            "kind": ("text", attrgetter("kind")),
            "changes": ("text", lambda event: canonical_json(event.changes)),
            "source_digest": ("text", attrgetter("source_digest")),
            "occurred_at": ("timestamptz", attrgetter("occurred_at")),
        },
        events,
        {"clinic_id": clinic.id, "audit_id": audit_id, "run_id": run_id},
    )
