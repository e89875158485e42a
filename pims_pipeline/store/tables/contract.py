"""What vendors were seen to send: paths and JSON types, never values."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, PrimaryKeyConstraint, Table

from pims_pipeline.domain.records.shapes import JSON_TYPES, MAX_PATH_LENGTH
from pims_pipeline.store.tables.columns import (
    HOT_UPDATES,
    clinic_id,
    metadata,
    one_of,
    text_column,
    timestamp,
)

vendor_shapes = Table(
    "vendor_shapes",
    metadata,
    clinic_id(),
    text_column("provider_type"),
    # The endpoint and names of fields; keys that may be data are replaced by {*}.
    text_column("path"),
    text_column("json_type"),
    # The Monday, in UTC.
    Column("week", Date, nullable=False),
    Column("seen", BigInteger, nullable=False),
    timestamp("first_seen_at"),
    timestamp("last_seen_at"),
    PrimaryKeyConstraint("clinic_id", "provider_type", "week", "path", "json_type"),
    one_of("json_type", JSON_TYPES),
    CheckConstraint(f"length(path) BETWEEN 1 AND {MAX_PATH_LENGTH}", name="path"),
    CheckConstraint("seen >= 1", name="seen"),
    CheckConstraint("extract(isodow FROM week) = 1", name="week"),
    CheckConstraint("first_seen_at <= last_seen_at", name="times"),
    postgresql_with=HOT_UPDATES,
)
