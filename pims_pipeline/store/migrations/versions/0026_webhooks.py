"""Webhooks of clinics, and the outbox of what is to be delivered to them.

A trigger writes the outbox in the transaction that adds the events, for every writer. A row is
there until its event was delivered.

Revision: 0026, after 0025
"""

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations.access import forget_access, grant_access

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_ACCESS = (
    ("webhooks", "clinic_id", "SELECT, INSERT, UPDATE, DELETE", ""),
    ("webhook_deliveries", "clinic_id", "SELECT, INSERT, UPDATE, DELETE", ""),
)
_ALERTS = (
    "'failing', 'overdue', 'credentials_rejected', 'human_needed', 'hold', 'dead_letter', "
    "'bad_schedule', 'wrong_clock', 'ticks_skipped'"
)
_WEBHOOK_ALERT = "'webhook_disabled'"

_OUTBOX = """
    CREATE FUNCTION pims_fill_webhook_outbox() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        INSERT INTO webhook_deliveries (webhook_id, clinic_id, seq, case_id)
        SELECT hook.id, hook.clinic_id, event.seq, event.case_id
        FROM webhooks AS hook JOIN added AS event ON event.clinic_id = hook.clinic_id
        WHERE hook.status = 'active';
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_webhooks()
    _create_deliveries()
    op.execute(_OUTBOX)
    op.execute(
        "CREATE TRIGGER webhook_outbox AFTER INSERT ON case_events REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_fill_webhook_outbox()"
    )
    _set_alert_kinds(f"{_ALERTS}, {_WEBHOOK_ALERT}")
    grant_access(*_ACCESS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(f"DELETE FROM alerts WHERE kind = {_WEBHOOK_ALERT}")  # noqa: S608 - fixed
    _set_alert_kinds(_ALERTS)
    op.execute("DROP TRIGGER webhook_outbox ON case_events")
    op.execute("DROP FUNCTION pims_fill_webhook_outbox()")
    forget_access("webhook_deliveries", "webhooks")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")


def _set_alert_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_alerts_kind"), "alerts")
    op.create_check_constraint(op.f("ck_alerts_kind"), "alerts", f"kind IN ({kinds})")


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("encrypted_data", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("with_values", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_webhooks_status")),
        sa.CheckConstraint(
            "(status = 'disabled') = (disabled_at IS NOT NULL)", name=op.f("ck_webhooks_disabled")
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name="fk_webhooks_clinic_id_clinics", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.UniqueConstraint("clinic_id", "url", name="uq_webhooks_clinic_id_url"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("failed_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_webhook_deliveries_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id_webhooks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "seq", name="pk_webhook_deliveries"),
    )
    op.create_index(
        "ix_webhook_deliveries_webhook_id_case_id_seq",
        "webhook_deliveries",
        ["webhook_id", "case_id", "seq"],
    )
    op.create_index(
        "ix_webhook_deliveries_webhook_id_due_at_seq",
        "webhook_deliveries",
        ["webhook_id", "due_at", "seq"],
    )
