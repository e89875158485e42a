"""Cases: the landed snapshot of the vendors' calendars, the cases, and their events.

An appointment keeps what its words meant when its case last followed them. Where that is NULL, it
reads as the words' first meanings: see ``pims_pipeline.domain.records.words.FIRST_WORDS``.

Revision: 0000c, after 0000b
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0000c"
down_revision = "0000b"
branch_labels = None
depends_on = None

_TABLES = (
    "case_events",
    "cases",
    "pims_appointments",
)
"""Dependants first."""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_appointments()
    _index_appointments()
    _create_cases()
    _create_events()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_table(table)


def _create_appointments() -> None:
    """The landed calendars."""
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
        sa.Column("meant_status", sa.Text(), nullable=True),
        sa.Column("meant_type", sa.Text(), nullable=True),
        sa.Column("series_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "meant_status IN ('draft', 'ongoing', 'completed', 'reviewed')",
            name=op.f("ck_pims_appointments_meant_status"),
        ),
        sa.CheckConstraint(
            "meant_type IN ('checkup', 'surgery', 'emergency', 'follow_up')",
            name=op.f("ck_pims_appointments_meant_type"),
        ),
        sa.CheckConstraint(
            "(meant_status IS NULL) = (meant_type IS NULL)",
            name=op.f("ck_pims_appointments_meaning"),
        ),
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


def _index_appointments() -> None:
    op.create_index(
        "ix_pims_appointments_clinic_id_provider_type_business_date",
        "pims_appointments",
        ["clinic_id", "provider_type", "business_date"],
        unique=False,
    )
    op.create_index(
        "ix_pims_appointments_series",
        "pims_appointments",
        ["clinic_id", "provider_type", "series_id"],
        unique=False,
        postgresql_where=sa.text("series_id IS NOT NULL"),
    )


def _create_cases() -> None:
    """What applications read."""
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


def _create_events() -> None:
    """The log of every change to a case."""
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
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE case_events ENABLE ALWAYS TRIGGER append_only")
