"""Every table of the store, and the append-only rule of its logs.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("case_events", "credential_access_log")
_TABLES = (
    "reconciliation_holds",
    "case_events",
    "cases",
    "pims_appointments",
    "sync_failures",
    "case_sync_audits",
    "credential_access_log",
    "pims_sessions",
    "pims_credentials",
    "clinic_api_keys",
    "clinic_schedule_configs",
    "clinics",
)
"""Dependants first."""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_clinics()
    _create_secrets()
    _create_audits()
    _create_diaries()
    _create_cases()
    _make_logs_append_only()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION pims_refuse_change()")


def _create_clinics() -> None:
    """Clinics, how they are synced, and who may ask for it."""
    op.create_table(
        "clinics",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("provider_base_url", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
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
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{1,39}$'", name=op.f("ck_clinics_slug")),
        sa.PrimaryKeyConstraint("id", name="pk_clinics"),
        sa.UniqueConstraint("slug", name="uq_clinics_slug"),
    )
    op.create_table(
        "clinic_schedule_configs",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column(
            "sync_schedules",
            JSONB(),
            server_default=sa.text(
                """'{"inbound": "*/15 * * * *", "cases": "0 */2 * * *", """
                """"reconciliation": "0 2 * * *"}'::jsonb"""
            ),
            nullable=False,
        ),
        sa.Column("days_ahead", sa.Integer(), server_default=sa.text("7"), nullable=False),
        sa.Column("lookback_days", sa.Integer(), server_default=sa.text("7"), nullable=False),
        sa.Column("parallel_batch_size", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("days_ahead >= 0", name=op.f("ck_clinic_schedule_configs_days_ahead")),
        sa.CheckConstraint(
            "lookback_days >= 0", name=op.f("ck_clinic_schedule_configs_lookback_days")
        ),
        sa.CheckConstraint(
            "parallel_batch_size >= 1", name=op.f("ck_clinic_schedule_configs_parallel_batch_size")
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_clinic_schedule_configs_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", name="pk_clinic_schedule_configs"),
    )
    op.create_table(
        "clinic_api_keys",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_prefix", sa.CHAR(length=8), nullable=False),
        sa.Column("key_hash", sa.CHAR(length=64), nullable=False),
        sa.Column("permissions", ARRAY(sa.Text()), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_clinic_api_keys_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_clinic_api_keys"),
        sa.UniqueConstraint("key_prefix", name="uq_clinic_api_keys_key_prefix"),
    )
    op.create_index("ix_clinic_api_keys_clinic_id", "clinic_api_keys", ["clinic_id"], unique=False)


def _create_secrets() -> None:
    """What is stored encrypted, and who decrypted it."""
    op.create_table(
        "pims_credentials",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("encrypted_data", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'unverified'"), nullable=False),
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
        sa.CheckConstraint(
            "status IN ('unverified', 'valid', 'invalid', 'needs_human')",
            name=op.f("ck_pims_credentials_status"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_pims_credentials_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pims_credentials"),
        sa.UniqueConstraint(
            "clinic_id", "provider_type", name="uq_pims_credentials_clinic_id_provider_type"
        ),
    )
    op.create_table(
        "pims_sessions",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("encrypted_data", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_pims_sessions_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "provider_type", name="pk_pims_sessions"),
    )
    op.create_table(
        "credential_access_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column(
            "accessed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_credential_access_log_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credential_access_log"),
    )
    op.create_index(
        "ix_credential_access_log_clinic_id_accessed_at",
        "credential_access_log",
        ["clinic_id", "accessed_at"],
        unique=False,
    )


def _create_audits() -> None:
    """What each phase did, and the records it could not read or fetch."""
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
        sa.Column("items_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("items_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("appointments_found", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_created", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_updated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_unchanged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_restored", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_deleted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_enriched", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_blocked", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_errored", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cases_held", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("quarantined", sa.Integer(), server_default=sa.text("0"), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name="pk_case_sync_audits"),
    )
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


def _create_diaries() -> None:
    """The landed snapshot of the vendors' diaries."""
    op.create_table(
        "pims_appointments",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("pims_id", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("scheduled_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consultation_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["audit_id"],
            ["case_sync_audits.id"],
            name="fk_pims_appointments_audit_id_case_sync_audits",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_pims_appointments_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint(
            "clinic_id", "provider_type", "pims_id", name="pk_pims_appointments"
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_pims_appointments_clinic_id_provider_type_business_date",
        "pims_appointments",
        ["clinic_id", "provider_type", "business_date"],
        unique=False,
    )


def _create_cases() -> None:
    """Cases, their life stories, and the deletions held back."""
    op.create_table(
        "cases",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=True),
        sa.Column("pims_id", sa.Text(), nullable=True),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("patient_species", sa.Text(), nullable=True),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("client_phone", sa.Text(), nullable=True),
        sa.Column("scheduled_date", sa.Date(), nullable=False),
        sa.Column("scheduled_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scheduled_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("case_type", sa.Text(), server_default=sa.text("'checkup'"), nullable=False),
        sa.Column("visibility", sa.Text(), server_default=sa.text("'private'"), nullable=False),
        sa.Column("metadata", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
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
        sa.CheckConstraint(
            "case_type IN ('checkup', 'surgery', 'emergency', 'follow_up')",
            name=op.f("ck_cases_case_type"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'ongoing', 'completed', 'reviewed')", name=op.f("ck_cases_status")
        ),
        sa.CheckConstraint(
            "pims_id IS NULL OR (provider_type IS NOT NULL "
            "AND scheduled_start IS NOT NULL AND scheduled_end IS NOT NULL)",
            name=op.f("ck_cases_synced"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name="fk_cases_clinic_id_clinics", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint(
            "clinic_id", "provider_type", "pims_id", name="uq_cases_clinic_id_provider_type_pims_id"
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_cases_clinic_id_scheduled_date", "cases", ["clinic_id", "scheduled_date"], unique=False
    )
    op.create_table(
        "case_events",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("changes", JSONB(), nullable=False),
        sa.Column("source_digest", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('created', 'updated', 'rescheduled', 'status_changed', 'enriched', "
            "'soft_deleted', 'restored')",
            name=op.f("ck_case_events_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["audit_id"],
            ["case_sync_audits.id"],
            name="fk_case_events_audit_id_case_sync_audits",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_case_events_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_case_events"),
    )
    op.create_index("ix_case_events_audit_id", "case_events", ["audit_id"], unique=False)
    op.create_index("ix_case_events_case_id_seq", "case_events", ["case_id", "seq"], unique=False)
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


def _make_logs_append_only() -> None:
    """Refuse every change to what the logs once said, whoever asks."""
    op.execute(
        """
        CREATE FUNCTION pims_refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END
        $$
        """
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
        )
