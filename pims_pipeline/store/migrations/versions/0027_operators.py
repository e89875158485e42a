"""Operators of the console, and the role in which the console reads their clinics.

The API's connection takes the role ``pims_console`` for the transactions of an operator who is
signed in. The role sees the clinics of that sign-in, and none without a valid one: the policy of
its tables asks ``pims_operator_clinics()``, which reads the setting ``pims.operator_sign_in``.
``pims_api`` does not inherit from the role: both have policies on the same tables, and the API must
see one clinic at a time as before.

Revision: 0027, after 0026
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.migrations.access import forget_access, grant_access
from pims_pipeline.store.migrations.console_functions import (
    CONSOLE_CALLS,
    FORMER_RESERVE_FUNCTION,
    FUNCTIONS,
    reserve_function,
)

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_CHANGE = "SELECT, INSERT, UPDATE, DELETE"
_ACCESS = (
    ("operators", "", _CHANGE, ""),
    ("operator_roles", "clinic_id", _CHANGE, ""),
    ("operator_sign_ins", "", _CHANGE, ""),
    ("sign_in_attempts", "", _CHANGE, ""),
    ("operator_log", "clinic_id", "SELECT, INSERT", ""),
)
_ROLES = "'viewer', 'operator', 'admin'"
_ACTIONS = (
    "'signed_in', 'sign_in_refused', 'signed_out', 'clinic_seen', 'case_seen', 'hold_approved', "
    "'hold_rejected', 'failure_retried', 'schedule_changed', 'sync_started'"
)
_ROLE = "CREATE ROLE pims_console NOLOGIN; ALTER ROLE pims_api NOINHERIT; "
_MEMBER = "GRANT pims_console TO pims_api; "
_REMEDY = f"{_ROLE}{_MEMBER}SELECT pims_grant_console();"

log = get_logger(__name__)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_operators()
    _create_roles()
    _create_sign_ins()
    _create_attempts()
    _create_log()
    op.execute(_ROLE_CREATED)
    for _, function in FUNCTIONS:
        op.execute(function)
    op.execute(reserve_function(CONSOLE_CALLS))
    grant_access(*_ACCESS)
    op.execute("SELECT pims_reserve_functions()")
    op.execute(
        "DO $$ BEGIN IF to_regrole('pims_console') IS NOT NULL THEN "
        "PERFORM pims_grant_console(); END IF; END $$"
    )
    # Few operators see the server's notice.
    if not context.is_offline_mode() and not _role_exists():
        log.warning("console_role_missing", role="pims_console", run=_REMEDY)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_REVOCATION)
    op.execute(FORMER_RESERVE_FUNCTION)
    forget_access(*(table for table, *_ in _ACCESS))
    for name, _ in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    for table, *_ in reversed(_ACCESS):
        op.drop_table(table)


def _role_exists() -> bool:
    return op.get_bind().scalar(sa.text("SELECT to_regrole('pims_console')")) is not None


def _create_operators() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.CheckConstraint(
            "name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'", name=op.f("ck_operators_name")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_operators"),
        sa.UniqueConstraint("name", name="uq_operators_name"),
    )


def _create_roles() -> None:
    op.create_table(
        "operator_roles",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint(f"role IN ({_ROLES})", name=op.f("ck_operator_roles_role")),
        _operator("operator_roles", "CASCADE"),
        _clinic("operator_roles"),
        sa.UniqueConstraint(
            "operator_id",
            "clinic_id",
            name="uq_operator_roles_operator_id_clinic_id",
            postgresql_nulls_not_distinct=True,
        ),
    )


def _create_sign_ins() -> None:
    op.create_table(
        "operator_sign_ins",
        sa.Column("id_hash", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        _now("created_at"),
        _now("last_used_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _operator("operator_sign_ins", "CASCADE"),
        sa.PrimaryKeyConstraint("id_hash", name="pk_operator_sign_ins"),
    )
    op.create_index("ix_operator_sign_ins_operator_id", "operator_sign_ins", ["operator_id"])


def _create_attempts() -> None:
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        _now("began_at"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_sign_in_attempts"),
    )
    op.create_index("ix_sign_in_attempts_began_at", "sign_in_attempts", ["began_at"])


def _create_log() -> None:
    op.create_table(
        "operator_log",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("details", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(f"action IN ({_ACTIONS})", name=op.f("ck_operator_log_action")),
        sa.CheckConstraint(
            "operator_id IS NOT NULL OR action = 'sign_in_refused'",
            name=op.f("ck_operator_log_operator"),
        ),
        _operator("operator_log", "RESTRICT"),
        _clinic("operator_log"),
        sa.PrimaryKeyConstraint("seq", name="pk_operator_log"),
    )
    op.create_index("ix_operator_log_operator_id_seq", "operator_log", ["operator_id", "seq"])
    op.create_index("ix_operator_log_clinic_id_seq", "operator_log", ["clinic_id", "seq"])
    op.create_index(
        "ix_operator_log_signed_in",
        "operator_log",
        ["operator_id", "address", "occurred_at"],
        postgresql_where=sa.text("action = 'signed_in'"),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE operator_log ENABLE ALWAYS TRIGGER append_only")


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _operator(table: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["operator_id"],
        ["operators.id"],
        name=f"fk_{table}_operator_id_operators",
        ondelete=ondelete,
    )


def _clinic(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["clinic_id"], ["clinics.id"], name=f"fk_{table}_clinic_id_clinics", ondelete="RESTRICT"
    )


# Another database's migration may create the role at the same time: see 0000e.
_ROLE_CREATED = f"""
    DO $$
    BEGIN
        IF to_regrole('pims_console') IS NULL AND to_regrole('pims_api') IS NOT NULL THEN
            CREATE ROLE pims_console NOLOGIN;
            ALTER ROLE pims_api NOINHERIT;
            GRANT pims_console TO pims_api;
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;
        WHEN insufficient_privilege THEN
            RAISE NOTICE '%', 'the role pims_console was not created, for want of CREATEROLE; to '
                'have it, run as a role that may create roles and owns the tables: {_REMEDY}';
    END
    $$
"""

_REVOCATION = """
    DO $$
    DECLARE
        it record;
    BEGIN
        FOR it IN SELECT * FROM pims_console_access() LOOP
            EXECUTE format('DROP POLICY IF EXISTS pims_console ON %I', it.name);
            IF to_regrole('pims_console') IS NOT NULL THEN
                EXECUTE format('REVOKE ALL ON %I FROM pims_console', it.name);
            END IF;
        END LOOP;
    END
    $$
"""
