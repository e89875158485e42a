"""Syncs: what each phase did, what failed or is held, who is at work, and skipped ticks.

Revision: 0000b, after 0000a
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0000b"
down_revision = "0000a"
branch_labels = None
depends_on = None

_TABLES = (
    "schedule_skips",
    "login_leases",
    "run_leases",
    "sync_failures",
    "case_sync_audits",
    "reconciliation_holds",
)
"""Dependants first."""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_holds()
    _create_audits()
    _index_audits()
    _create_failures()
    _create_leases()
    _create_skips()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_table(table)


def _create_holds() -> None:
    """Deletions that wait for a person."""
    op.create_table(
        "reconciliation_holds",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("window_start", sa.Date(), nullable=False),
        sa.Column("window_end", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("plan", JSONB(), nullable=False),
        sa.Column("cases_active", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_orphaned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('open', 'approved', 'rejected', 'superseded')",
            name=op.f("ck_reconciliation_holds_status"),
        ),
        sa.CheckConstraint(
            "window_start <= window_end", name=op.f("ck_reconciliation_holds_window")
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_reconciliation_holds_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliation_holds"),
    )
    op.create_index(
        "ix_reconciliation_holds_clinic_id_status",
        "reconciliation_holds",
        ["clinic_id", "status"],
        unique=False,
    )


_COUNTS = (
    "items_done",
    "items_total",
    "appointments_found",
    "cases_created",
    "cases_updated",
    "cases_unchanged",
    "cases_restored",
    "cases_deleted",
    "cases_enriched",
    "cases_skipped",
    "cases_blocked",
    "cases_errored",
    "cases_held",
    "quarantined",
)


def _create_audits() -> None:
    """What each phase did."""
    op.create_table(
        "case_sync_audits",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("sync_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'in_progress'"), nullable=False),
        sa.Column("window_start", sa.Date(), nullable=False),
        sa.Column("window_end", sa.Date(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Integer(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
            for name in _COUNTS
        ),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("moments_repaired", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("kept_by_hold_id", sa.Uuid(), nullable=True),
        sa.Column("oddities", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.CheckConstraint(
            "status IN ('in_progress', 'completed', 'failed', 'held', 'interrupted')",
            name=op.f("ck_case_sync_audits_status"),
        ),
        sa.CheckConstraint(
            "sync_type IN ('inbound', 'cases', 'reconciliation')",
            name=op.f("ck_case_sync_audits_sync_type"),
        ),
        sa.CheckConstraint("window_start <= window_end", name=op.f("ck_case_sync_audits_window")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_case_sync_audits_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["kept_by_hold_id"],
            ["reconciliation_holds.id"],
            name="fk_case_sync_audits_kept_by_hold_id_reconciliation_holds",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_case_sync_audits"),
    )


def _index_audits() -> None:
    op.create_index(
        "ix_case_sync_audits_in_progress",
        "case_sync_audits",
        ["clinic_id"],
        unique=False,
        postgresql_where=sa.text("status = 'in_progress'"),
    )
    op.create_index(
        "ix_case_sync_audits_latest",
        "case_sync_audits",
        ["clinic_id", "sync_type", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index("ix_case_sync_audits_run_id", "case_sync_audits", ["run_id"], unique=False)
    op.create_index(
        "ix_case_sync_audits_updated_at", "case_sync_audits", ["updated_at"], unique=False
    )
    op.create_index(
        "ix_case_sync_audits_completed",
        "case_sync_audits",
        ["clinic_id", "sync_type", "updated_at"],
        unique=False,
        postgresql_where=sa.text("status = 'completed'"),
    )


def _create_failures() -> None:
    """Records that could not be read or fetched."""
    op.create_table(
        "sync_failures",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("record_key", sa.Text(), nullable=False),
        sa.Column("pims_id", sa.Text(), nullable=True),
        sa.Column("business_date", sa.Date(), nullable=True),
        sa.Column("window_start", sa.Date(), nullable=True),
        sa.Column("window_end", sa.Date(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "phase IN ('inbound', 'cases', 'reconciliation')", name=op.f("ck_sync_failures_phase")
        ),
        sa.CheckConstraint(
            "(window_start IS NULL) = (window_end IS NULL) AND window_start <= window_end",
            name=op.f("ck_sync_failures_window"),
        ),
        sa.CheckConstraint("attempts >= 1", name=op.f("ck_sync_failures_attempts")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_sync_failures_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sync_failures"),
    )
    op.create_index(
        "uq_sync_failures_open",
        "sync_failures",
        ["clinic_id", "provider_type", "phase", "record_key"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def _create_leases() -> None:
    """Who is at work, as rows that expire by the database's own clock."""
    op.create_table(
        "run_leases",
        sa.Column("owner", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "renewed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_run_leases"),
    )
    op.create_table(
        "login_leases",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column(
            "renewed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_login_leases_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "provider_type", name="pk_login_leases"),
    )


def _create_skips() -> None:
    """Ticks that found the phase's last run still going."""
    op.create_table(
        "schedule_skips",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("sync_type", sa.Text(), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_skipped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("in_a_row", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "sync_type IN ('inbound', 'cases', 'reconciliation')",
            name=op.f("ck_schedule_skips_sync_type"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_schedule_skips_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "sync_type", name="pk_schedule_skips"),
    )
