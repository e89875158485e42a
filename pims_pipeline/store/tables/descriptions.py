"""What the columns of the main tables mean, for the Dagster UI.

Types come from the tables; a column without a description raises ``KeyError``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy.dialects import postgresql

from pims_pipeline.store.tables.columns import metadata


class TableColumn(NamedTuple):
    """A column with its description.

    Attributes:
        type: PostgreSQL's name for it.
        unique: Whether it identifies a row by itself.
    """

    name: str
    type: str
    nullable: bool
    unique: bool
    description: str


_CLINIC = "The clinic it belongs to"
_AUDIT = "The audit (phase over a window) that wrote it"

DESCRIBED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "pims_appointments": {
            "clinic_id": _CLINIC,
            "provider_type": "Which vendor's system it comes from",
            "pims_id": "The vendor's id of the appointment; of one of a series, with its start",
            "series_id": "The vendor's id of the series, if it is one of several with that id",
            "business_date": "Its date in the clinic's own time zone",
            "scheduled_start": "When it begins",
            "payload": "The record as it was read; holds personal data",
            "digest": "Fingerprint of the payload; an unchanged one causes no write",
            "fetched_at": "When the listing that holds the payload was requested",
            "first_seen_at": "When it was first seen",
            "last_seen_at": "The latest listing that held it",
            "missing_since": "The first complete listing of its date without it",
            "removed_at": "When it was confirmed to be gone at the vendor",
            "consultation_checked_at": "When its consultation was last requested",
            "meant_status": "The case status its status word was last taken for; null when it was "
            "landed before this column existed",
            "meant_type": "The case type its type was last taken for; null as above",
            "resources": "Its room, column and provider at the vendor, such as room:11; null until "
            "it is listed with them",
            "left_out": "Whether the clinic does not sync these, so that it makes no case",
            "followed_digest": "Digest of the record that its case follows, if this one changed "
            "while it was left out",
            "audit_id": _AUDIT,
        },
        "cases": {
            "id": "The case; follows from clinic, vendor and the vendor's id",
            "clinic_id": _CLINIC,
            "provider_type": "The vendor's system; null for a case that a user created",
            "pims_id": "The vendor's id of the appointment; null for a case that a user created",
            "patient_name": "The patient; personal data",
            "patient_species": "The patient's species",
            "client_name": "The owner; personal data",
            "client_phone": "The owner's phone; personal data",
            "scheduled_date": "The appointment's date in the clinic's own time zone",
            "scheduled_start": "When the appointment begins",
            "scheduled_end": "When the appointment ends",
            "status": "draft, ongoing, completed or reviewed",
            "case_type": "checkup, surgery, emergency or follow_up",
            "visibility": "private unless a user changes it",
            "metadata": "appointment, consultation and reconciliation are the pipeline's; "
            "other keys the application's",
            "created_at": "When the case was made",
            "updated_at": "When the case last changed",
        },
        "case_events": {
            "seq": "The order in which things happened",
            "clinic_id": _CLINIC,
            "case_id": "The case it happened to",
            "audit_id": f"{_AUDIT}; null for an imported case",
            "run_id": "The Dagster run that did it",
            "partition_key": "The partition, clinic|date, that it was done for",
            "kind": "created, updated, rescheduled, status_changed, enriched, soft_deleted, "
            "restored or adopted",
            "changes": "Field by field, before and after; holds personal data",
            "source_digest": "Fingerprint of the vendor's record that caused it",
            "occurred_at": "When it was written",
        },
        "application_writes": {
            "seq": "The order in which rows were written",
            "clinic_id": _CLINIC,
            "case_id": "Our case",
            "their_case_id": "The application's row",
            "audit_id": "The clinic's last audit in the run; null when it had none",
            "run_id": "The Dagster run that did it",
            "partition_key": "The partition, clinic|date, of the case",
            "kind": "created, updated, retired or restored",
            "columns": "Which columns and keys changed; no values",
            "left_status": "The status that was left there; null where people had changed it",
            "left_type": "The type that was left there; null where people had changed it",
            "occurred_at": "When it was written",
        },
    }
)
"""By table and column: what it means. Times are in UTC."""


def table_columns(table: str) -> list[TableColumn]:
    """The columns of a table in their order.

    Raises:
        KeyError: If the table, or one of its columns, is not described.
    """
    described, dialect = DESCRIBED[table], postgresql.dialect()  # type: ignore[no-untyped-call]
    key = metadata.tables[table].primary_key.columns
    return [
        TableColumn(
            name=column.name,
            type=column.type.compile(dialect).lower(),
            nullable=bool(column.nullable),
            unique=len(key) == 1 and column.name in key,
            description=described[column.name],
        )
        for column in metadata.tables[table].columns
    ]
