"""What was adopted from a v4.0 installation, the log of the steps, and what was written there."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.adoption.application.rows import RowKind
from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.store.tables.columns import (
    clinic_id,
    metadata,
    one_of,
    text_column,
    timestamp,
    timestamp_now,
)

adoptions = Table(
    "adoptions",
    metadata,
    Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), primary_key=True),
    text_column("layout"),
    text_column("their_schema"),
    Column("their_clinic_id", Uuid, nullable=False),
    text_column("mode"),
    timestamp_now("adopted_at"),
    timestamp_now("mode_changed_at"),
    # Their schedule as it was before it was switched off, to be restored.
    Column("their_schedule", JSONB(none_as_null=True), nullable=True),
    # Counts of the last comparison; ids alone, no personal data.
    Column("last_diff", JSONB(none_as_null=True), nullable=True),
    timestamp("last_diff_at", nullable=True),
    # The newest event of which the application's rows hold the result.
    Column("written_seq", BigInteger, nullable=False, server_default=text("0")),
    one_of("layout", Layout),
    one_of("mode", AdoptionMode),
    CheckConstraint("(last_diff IS NULL) = (last_diff_at IS NULL)", name="last_diff"),
)

adopted_cases = Table(
    "adopted_cases",
    metadata,
    clinic_id(),
    Column("case_id", Uuid, ForeignKey("cases.id", ondelete="RESTRICT"), nullable=False),
    # The same, unless both sides made a case of the appointment before they were linked.
    Column("their_case_id", Uuid, nullable=False),
    # As their case has it.
    text_column("external_id"),
    timestamp_now("linked_at"),
    PrimaryKeyConstraint("clinic_id", "case_id"),
    UniqueConstraint("clinic_id", "their_case_id"),
)

adoption_steps = Table(
    "adoption_steps",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), nullable=True),
    text_column("step"),
    # Ids, counts and settings; no personal data.
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    timestamp_now("occurred_at"),
    Index(None, "clinic_id", "seq"),
)

application_writes = Table(
    "application_writes",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    clinic_id(),
    # No foreign keys: the log must be able to outlive cases and audits.
    Column("case_id", Uuid, nullable=False),
    Column("their_case_id", Uuid, nullable=False),
    Column("audit_id", Uuid, nullable=True),
    text_column("run_id"),
    text_column("partition_key"),
    text_column("kind"),
    # Names of columns and of keys of the metadata, no values: they hold personal data.
    Column("columns", ARRAY(Text), nullable=False),
    # What the row then held of ours; null where people had changed it.
    text_column("left_status", nullable=True),
    text_column("left_type", nullable=True),
    timestamp_now("occurred_at"),
    one_of("kind", RowKind),
    Index(None, "case_id", "seq"),
)

adoption_diffs = Table(
    "adoption_diffs",
    metadata,
    clinic_id(),
    # UTC's.
    Column("day", Date, nullable=False),
    Column("window_start", Date, nullable=False),
    Column("window_end", Date, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("differences", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    # Counts by kind of difference.
    Column("by_kind", JSONB, nullable=False),
    timestamp_now("compared_at"),
    PrimaryKeyConstraint("clinic_id", "day"),
)
