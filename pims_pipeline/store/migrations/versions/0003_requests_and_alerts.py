"""What the API and the schedules remember: requests, their repetitions, alerts, skipped ticks.

And since when a clinic's schedules count, which triggers note, so that edits by hand count too.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.store.migrations.service_rights import ROLE, grant_function, granted

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("idempotency_keys", "sync_requests", "schedule_skips", "alerts")
"""Dependants first."""

_FORMER = (
    "clinics",
    "clinic_schedule_configs",
    "clinic_api_keys",
    "pims_credentials",
    "pims_sessions",
    "case_sync_audits",
    "pims_appointments",
    "cases",
    "sync_failures",
    "reconciliation_holds",
)
"""What the service could change before."""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_requests()
    _create_alerts()
    _create_skips()
    _note_since_when_schedules_count()
    op.create_index(
        "ix_case_sync_audits_updated_at", "case_sync_audits", ["updated_at"], unique=False
    )
    op.execute(grant_function((*_FORMER, *_TABLES)))
    op.execute(granted("pims_grant_service", ROLE))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(grant_function(_FORMER))
    op.drop_index("ix_case_sync_audits_updated_at", table_name="case_sync_audits")
    _forget_since_when_schedules_count()
    for table in _TABLES:
        op.drop_table(table)


def _create_requests() -> None:
    """What clients of the API asked for, and how often they said the same."""
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
    """What people are told of, once when it begins and once when it ends."""
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
        sa.CheckConstraint(
            "kind IN ('failing', 'overdue', 'credentials_rejected', 'human_needed', 'hold', "
            "'dead_letter', 'bad_schedule')",
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


def _create_skips() -> None:
    """Ticks that found the phase's last run still going."""
    op.create_table(
        "schedule_skips",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("sync_type", sa.Text(), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_skipped_at", sa.DateTime(timezone=True), nullable=False),
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


def _note_since_when_schedules_count() -> None:
    """Keep, for each clinic and for each of its cron expressions, when it was last changed."""
    op.add_column(
        "clinics",
        sa.Column(
            "scheduled_since",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.add_column(
        "clinic_schedule_configs",
        sa.Column(
            "schedules_changed_at",
            JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_clinic_schedule_configs_sync_schedules"),
        "clinic_schedule_configs",
        "jsonb_typeof(sync_schedules) = 'object'",
    )
    op.execute(_CLINIC_FUNCTION)
    op.execute(
        "CREATE TRIGGER note_schedule_start BEFORE UPDATE ON clinics FOR EACH ROW "
        "WHEN (OLD.timezone <> NEW.timezone OR (NEW.is_active AND NOT OLD.is_active)) "
        "EXECUTE FUNCTION pims_note_schedule_start()"
    )
    op.execute(_CRON_FUNCTION)
    # What is no object is refused by the table's check, which comes after this.
    op.execute(
        "CREATE TRIGGER note_schedule_changes BEFORE INSERT OR UPDATE ON clinic_schedule_configs "
        "FOR EACH ROW WHEN (jsonb_typeof(NEW.sync_schedules) = 'object') "
        "EXECUTE FUNCTION pims_note_schedule_changes()"
    )


def _forget_since_when_schedules_count() -> None:
    op.execute("DROP TRIGGER note_schedule_changes ON clinic_schedule_configs")
    op.execute("DROP FUNCTION pims_note_schedule_changes()")
    op.execute("DROP TRIGGER note_schedule_start ON clinics")
    op.execute("DROP FUNCTION pims_note_schedule_start()")
    op.drop_constraint(
        op.f("ck_clinic_schedule_configs_sync_schedules"), "clinic_schedule_configs", type_="check"
    )
    op.drop_column("clinic_schedule_configs", "schedules_changed_at")
    op.drop_column("clinics", "scheduled_since")


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
