"""Clinics: their schedules, the keys to the API, and their secrets.

Triggers note since when a schedule counts, so that edits by hand count too.

Revision: 0000a, the first
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0000a"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
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
    _create_schedules()
    _create_keys()
    op.execute(_REFUSAL_FUNCTION)
    _create_credentials()
    _create_sessions()
    _create_access_log()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION pims_refuse_change()")
    op.execute("DROP FUNCTION pims_note_schedule_changes()")
    op.execute("DROP FUNCTION pims_note_schedule_start()")


def _create_clinics() -> None:
    """The tenants."""
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
        sa.Column(
            "scheduled_since",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{1,39}$'", name=op.f("ck_clinics_slug")),
        sa.PrimaryKeyConstraint("id", name="pk_clinics"),
        sa.UniqueConstraint("slug", name="uq_clinics_slug"),
    )
    op.execute(_CLINIC_FUNCTION)
    op.execute(
        "CREATE TRIGGER note_schedule_start BEFORE UPDATE ON clinics FOR EACH ROW "
        "WHEN (OLD.timezone <> NEW.timezone OR (NEW.is_active AND NOT OLD.is_active)) "
        "EXECUTE FUNCTION pims_note_schedule_start()"
    )


def _create_schedules() -> None:
    """When and how widely each clinic is synced."""
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
        sa.Column(
            "schedules_changed_at",
            JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.CheckConstraint("days_ahead >= 0", name=op.f("ck_clinic_schedule_configs_days_ahead")),
        sa.CheckConstraint(
            "lookback_days >= 0", name=op.f("ck_clinic_schedule_configs_lookback_days")
        ),
        sa.CheckConstraint(
            "parallel_batch_size >= 1", name=op.f("ck_clinic_schedule_configs_parallel_batch_size")
        ),
        sa.CheckConstraint(
            "jsonb_typeof(sync_schedules) = 'object'",
            name=op.f("ck_clinic_schedule_configs_sync_schedules"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_clinic_schedule_configs_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", name="pk_clinic_schedule_configs"),
    )
    op.execute(_CRON_FUNCTION)
    # What is no object is refused by the table's check, which comes after this.
    op.execute(
        "CREATE TRIGGER note_schedule_changes BEFORE INSERT OR UPDATE ON clinic_schedule_configs "
        "FOR EACH ROW WHEN (jsonb_typeof(NEW.sync_schedules) = 'object') "
        "EXECUTE FUNCTION pims_note_schedule_changes()"
    )


def _create_keys() -> None:
    """Who may ask for syncs."""
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


def _create_credentials() -> None:
    """Logins, encrypted."""
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


def _create_sessions() -> None:
    """Logged-in sessions, encrypted."""
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


def _create_access_log() -> None:
    """The log of decryptions."""
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
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credential_access_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE credential_access_log ENABLE ALWAYS TRIGGER append_only")


# For each append-only log: refuse changes of existing rows, by any role.
_REFUSAL_FUNCTION = """
        CREATE FUNCTION pims_refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END
        $$
"""

# The clock's time, not the transaction's: a tick that was decided while a long transaction was
# changing the schedule is a tick of the former one.
_CLINIC_FUNCTION = """
    CREATE FUNCTION pims_note_schedule_start() RETURNS trigger
    LANGUAGE plpgsql SET search_path = '' AS $$
    BEGIN
        NEW.scheduled_since := clock_timestamp();
        RETURN NEW;
    END
    $$
"""

# A phase that is taken out falls back to its default: that is a change as well.
_CRON_FUNCTION = """
    CREATE FUNCTION pims_note_schedule_changes() RETURNS trigger
    LANGUAGE plpgsql SET search_path = '' AS $$
    DECLARE
        former jsonb := '{}';
        now_is jsonb := to_jsonb(clock_timestamp());
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            former := OLD.sync_schedules;
        END IF;
        NEW.schedules_changed_at := NEW.schedules_changed_at || (
            SELECT coalesce(jsonb_object_agg(phase, now_is), '{}')
            FROM jsonb_each(former) AS before (phase, cron)
            FULL JOIN jsonb_each(NEW.sync_schedules) AS after (phase, cron) USING (phase)
            WHERE before.cron IS DISTINCT FROM after.cron
        );
        RETURN NEW;
    END
    $$
"""
