"""Webhooks of clinics, and the outbox of the changes that are to be delivered to them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
)

from pims_pipeline.domain.webhooks.retries import WebhookStatus
from pims_pipeline.store.tables.columns import (
    clinic_id,
    false_by_default,
    id_column,
    integer,
    metadata,
    one_of,
    text_column,
    timestamp,
    timestamp_now,
)

webhooks = Table(
    "webhooks",
    metadata,
    id_column(),
    clinic_id(),
    text_column("url"),
    # The secrets that messages are signed with.
    Column("encrypted_data", LargeBinary, nullable=False),
    text_column("key_id"),
    # Whether messages hold what fields had before and after.
    false_by_default("with_values"),
    text_column("status", default=WebhookStatus.ACTIVE.value),
    # Changes that it did not accept at first, since the last that it did.
    integer("failures"),
    # How often since then one change was sent to see whether it arrives.
    integer("rests"),
    timestamp("failing_since", nullable=True),
    text_column("last_error", nullable=True),
    # Nothing is sent before that.
    timestamp("retry_at", nullable=True),
    timestamp("delivered_at", nullable=True),
    timestamp("disabled_at", nullable=True),
    timestamp_now("created_at"),
    one_of("status", WebhookStatus),
    CheckConstraint("(status = 'disabled') = (disabled_at IS NOT NULL)", name="disabled"),
    UniqueConstraint("clinic_id", "url"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", Uuid, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    # The number of the event; without a foreign key, because events are only ever added.
    Column("seq", BigInteger, nullable=False),
    clinic_id(),
    Column("case_id", Uuid, nullable=False),
    integer("attempts"),
    timestamp_now("due_at"),
    # When the first attempt failed.
    timestamp("failed_since", nullable=True),
    # Until when a process delivers it, by the database's clock.
    timestamp("claimed_until", nullable=True),
    PrimaryKeyConstraint("webhook_id", "seq"),
    Index(None, "webhook_id", "case_id", "seq"),
    Index(None, "webhook_id", "due_at", "seq"),
)
