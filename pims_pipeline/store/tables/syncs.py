"""What syncs did, what failed, what waits for a decision, and what clients requested."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import SCOPES, Phase
from pims_pipeline.domain.requests import RequestStatus
from pims_pipeline.store.tables.columns import (
    business_date,
    clinic_id,
    id_column,
    integer,
    metadata,
    one_of,
    text_column,
    timestamp,
    timestamp_now,
)

case_sync_audits = Table(
    "case_sync_audits",
    metadata,
    id_column(),
    clinic_id(),
    text_column("sync_type"),
    text_column("status", default=AuditStatus.IN_PROGRESS.value),
    business_date("window_start"),
    business_date("window_end"),
    text_column("run_id"),
    # The lease of the process that works on it: see store/database/leases.py.
    Column("owner", Integer, nullable=False),
    timestamp("fetched_at", nullable=True),
    # Only what the vendor changed since then was fetched; NULL: the whole calendar, or none.
    timestamp("changed_since", nullable=True),
    integer("items_done"),
    integer("items_total"),
    integer("appointments_found"),
    integer("cases_created"),
    integer("cases_updated"),
    integer("cases_unchanged"),
    integer("cases_restored"),
    integer("cases_deleted"),
    integer("cases_enriched"),
    integer("cases_skipped"),
    integer("cases_blocked"),
    integer("cases_errored"),
    integer("cases_held"),
    integer("cases_left_out"),
    integer("quarantined"),
    # Fields that could not be read: paths, JSON types and counts, never values.
    Column("oddities", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    # The name of the error's class, as in sync_failures; programs read it instead of the message.
    text_column("error_class", nullable=True),
    text_column("error_message", nullable=True),
    timestamp_now("created_at"),
    timestamp_now("updated_at"),
    Column("duration_ms", BigInteger, nullable=True),
    # Rows of the clinic whose times lay in the future when the phase began.
    integer("moments_repaired"),
    # The rejected hold that kept missing cases.
    Column(
        "kept_by_hold_id",
        Uuid,
        ForeignKey("reconciliation_holds.id", ondelete="RESTRICT"),
        nullable=True,
    ),
    one_of("sync_type", Phase),
    one_of("status", AuditStatus),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "run_id"),
    Index(None, "updated_at"),
    Index(
        "ix_case_sync_audits_in_progress",
        "clinic_id",
        postgresql_where=text("status = 'in_progress'"),
    ),
    Index(
        "ix_case_sync_audits_completed",
        "clinic_id",
        "sync_type",
        "updated_at",
        postgresql_where=text("status = 'completed'"),
    ),
)
Index(
    "ix_case_sync_audits_latest",
    case_sync_audits.c.clinic_id,
    case_sync_audits.c.sync_type,
    case_sync_audits.c.created_at.desc(),
)

sync_failures = Table(
    "sync_failures",
    metadata,
    id_column(),
    clinic_id(),
    text_column("provider_type"),
    text_column("phase"),
    # Names the record across listings, also when its identity cannot be read.
    text_column("record_key"),
    text_column("pims_id", nullable=True),
    business_date("business_date", nullable=True),
    business_date("window_start", nullable=True),
    business_date("window_end", nullable=True),
    integer("attempts", 1),
    text_column("error_class"),
    text_column("error_message"),
    timestamp("first_failed_at"),
    timestamp("last_failed_at"),
    timestamp("next_retry_at", nullable=True),
    timestamp("resolved_at", nullable=True),
    one_of("phase", Phase),
    CheckConstraint("attempts >= 1", name="attempts"),
    CheckConstraint(
        "(window_start IS NULL) = (window_end IS NULL) AND window_start <= window_end",
        name="window",
    ),
    Index(
        "uq_sync_failures_open",
        "clinic_id",
        "provider_type",
        "phase",
        "record_key",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

reconciliation_holds = Table(
    "reconciliation_holds",
    metadata,
    id_column(),
    clinic_id(),
    business_date("window_start"),
    business_date("window_end"),
    text_column("reason"),
    Column("plan", JSONB, nullable=False),
    integer("cases_active"),
    integer("cases_orphaned"),
    text_column("status", default=HoldStatus.OPEN),
    text_column("decided_by", nullable=True),
    timestamp("decided_at", nullable=True),
    timestamp_now("created_at"),
    one_of("status", HoldStatus),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "clinic_id", "status"),
)

sync_requests = Table(
    "sync_requests",
    metadata,
    # The syncId; the first audit of the run it starts has the same id.
    id_column(),
    clinic_id(),
    Column(
        "api_key_id", Uuid, ForeignKey("clinic_api_keys.id", ondelete="RESTRICT"), nullable=False
    ),
    text_column("scope"),
    business_date("window_start"),
    business_date("window_end"),
    Column("options", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    text_column("status", default="launching"),
    text_column("run_id", nullable=True),
    timestamp_now("created_at"),
    timestamp("launched_at", nullable=True),
    one_of("scope", SCOPES),
    one_of("status", RequestStatus),
    CheckConstraint("(status = 'launched') = (run_id IS NOT NULL)", name="run"),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "run_id"),
)
Index(
    "ix_sync_requests_newest",
    sync_requests.c.clinic_id,
    sync_requests.c.created_at.desc(),
    sync_requests.c.id.desc(),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    clinic_id(),
    text_column("key"),
    # SHA-256 of method, path and body.
    Column("request_hash", CHAR(64), nullable=False),
    Column("sync_id", Uuid, ForeignKey("sync_requests.id", ondelete="CASCADE"), nullable=False),
    timestamp_now("created_at"),
    timestamp("expires_at"),
    PrimaryKeyConstraint("clinic_id", "key"),
    CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
    Index(None, "expires_at"),
    Index(None, "sync_id"),
)
