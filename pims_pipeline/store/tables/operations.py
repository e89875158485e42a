"""Alerts, skipped schedule ticks, and the leases of running processes."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.tables.columns import (
    clinic_id,
    id_column,
    integer,
    metadata,
    one_of,
    provider_type_check,
    text_column,
    timestamp,
    timestamp_now,
)

alerts = Table(
    "alerts",
    metadata,
    id_column(),
    clinic_id(),
    text_column("kind"),
    # The part of the clinic: a phase, or the id of a hold or a record; empty for all of it.
    text_column("subject", default=""),
    # Ids and counts alone.
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    timestamp("opened_at"),
    timestamp("ended_at", nullable=True),
    # When each was delivered; until then the alert waits for delivery.
    timestamp("opening_sent_at", nullable=True),
    timestamp("ending_sent_at", nullable=True),
    # When the claim of the process that sends it ends, by the database's clock.
    timestamp("claimed_until", nullable=True),
    one_of("kind", AlertKind),
    CheckConstraint("ended_at >= opened_at", name="ended_at"),
    Index(
        "uq_alerts_open",
        "clinic_id",
        "kind",
        "subject",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_alerts_unsent",
        "opened_at",
        postgresql_where=text(
            "opening_sent_at IS NULL OR (ended_at IS NOT NULL AND ending_sent_at IS NULL)"
        ),
    ),
)

schedule_skips = Table(
    "schedule_skips",
    metadata,
    clinic_id(),
    text_column("sync_type"),
    # Ticks at which a run of the phase was still active.
    integer("skipped"),
    # Those of them since the phase last ran by schedule.
    integer("in_a_row"),
    timestamp("last_skipped_at"),
    PrimaryKeyConstraint("clinic_id", "sync_type"),
    one_of("sync_type", Phase),
)

run_leases = Table(
    "run_leases",
    metadata,
    # The owner that the run's audits name.
    Column("owner", Integer, primary_key=True, autoincrement=False),
    timestamp_now("renewed_at"),
    timestamp("expires_at"),
)

login_leases = Table(
    "login_leases",
    metadata,
    clinic_id(),
    text_column("provider_type"),
    # The process's session that logs in.
    Column("holder", Uuid, nullable=False),
    timestamp_now("renewed_at"),
    timestamp("expires_at"),
    PrimaryKeyConstraint("clinic_id", "provider_type"),
    provider_type_check(),
)
