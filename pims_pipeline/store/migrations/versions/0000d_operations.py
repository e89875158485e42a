"""Requests for syncs, idempotency keys and alerts.

Revision: 0000d, after 0000c
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0000d"
down_revision = "0000c"
branch_labels = None
depends_on = None

_TABLES = (
    "idempotency_keys",
    "sync_requests",
    "alerts",
)
"""Dependants first."""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_requests()
    _create_idempotency_keys()
    _create_alerts()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_table(table)


def _create_requests() -> None:
    """Requests of the API's clients."""
    op.create_table(
        "sync_requests",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("window_start", sa.Date(), nullable=False),
        sa.Column("window_end", sa.Date(), nullable=False),
        sa.Column("options", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'launching'"), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'launched') = (run_id IS NOT NULL)", name=op.f("ck_sync_requests_run")
        ),
        sa.CheckConstraint(
            "scope IN ('inbound', 'cases', 'reconcile', 'full')",
            name=op.f("ck_sync_requests_scope"),
        ),
        sa.CheckConstraint(
            "status IN ('launching', 'launched')", name=op.f("ck_sync_requests_status")
        ),
        sa.CheckConstraint("window_start <= window_end", name=op.f("ck_sync_requests_window")),
        sa.ForeignKeyConstraint(
            ["api_key_id"],
            ["clinic_api_keys.id"],
            name="fk_sync_requests_api_key_id_clinic_api_keys",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_sync_requests_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sync_requests"),
    )
    op.create_index(
        "ix_sync_requests_newest",
        "sync_requests",
        ["clinic_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_sync_requests_run_id", "sync_requests", ["run_id"], unique=False)


def _create_idempotency_keys() -> None:
    """The keys by which clients repeat a request."""
    op.create_table(
        "idempotency_keys",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.CHAR(length=64), nullable=False),
        sa.Column("sync_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 255", name=op.f("ck_idempotency_keys_key")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_idempotency_keys_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["sync_id"],
            ["sync_requests.id"],
            name="fk_idempotency_keys_sync_id_sync_requests",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index(
        "ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"], unique=False
    )
    op.create_index("ix_idempotency_keys_sync_id", "idempotency_keys", ["sync_id"], unique=False)


def _create_alerts() -> None:
    """Alerts, each delivered once when it starts and once when it ends."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("details", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opening_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('failing', 'overdue', 'credentials_rejected', 'human_needed', 'hold', "
            "'dead_letter', 'bad_schedule', 'wrong_clock', 'ticks_skipped')",
            name=op.f("ck_alerts_kind"),
        ),
        sa.CheckConstraint("ended_at >= opened_at", name=op.f("ck_alerts_ended_at")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_alerts_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index(
        "ix_alerts_unsent",
        "alerts",
        ["opened_at"],
        unique=False,
        postgresql_where=sa.text(
            "opening_sent_at IS NULL OR (ended_at IS NOT NULL AND ending_sent_at IS NULL)"
        ),
    )
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["clinic_id", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
