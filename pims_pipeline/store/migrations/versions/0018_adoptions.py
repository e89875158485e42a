"""Clinics adopted from a v4.0 installation, their cases, and the log of the steps.

The event of an imported case has no audit: no phase of a sync caused it.

Revision: 0018, after 0017
"""

from collections.abc import Collection

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.store.migrations.access import forget_access, grant_access

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_CHANGE = "SELECT, INSERT, UPDATE, DELETE"
_ADD = "SELECT, INSERT"
_NOTHING = ""
_ACCESS = (
    # table; the column that names the clinic; the service's rights; the API's rights
    ("adoptions", "clinic_id", _CHANGE, _NOTHING),
    ("adopted_cases", "clinic_id", _CHANGE, _NOTHING),
    ("adoption_steps", "clinic_id", _ADD, _NOTHING),
)
_TABLES = tuple(table for table, *_ in _ACCESS)
_KINDS = (
    "created",
    "updated",
    "rescheduled",
    "status_changed",
    "enriched",
    "soft_deleted",
    "restored",
)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_adoptions()
    _create_adopted_cases()
    _create_steps()
    _limit_kinds((*_KINDS, "adopted"))
    op.alter_column("case_events", "audit_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_case_events_audit"), "case_events", "(audit_id IS NULL) = (kind = 'adopted')"
    )
    grant_access(*_ACCESS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    forget_access(*_TABLES)
    for table in reversed(_TABLES):
        op.drop_table(table)
    # The former tables cannot hold these events.
    op.execute("ALTER TABLE case_events DISABLE TRIGGER append_only")
    op.execute("DELETE FROM case_events WHERE kind = 'adopted'")
    op.execute("ALTER TABLE case_events ENABLE ALWAYS TRIGGER append_only")
    op.drop_constraint(op.f("ck_case_events_audit"), "case_events")
    op.alter_column("case_events", "audit_id", nullable=False)
    _limit_kinds(_KINDS)


def _create_adoptions() -> None:
    op.create_table(
        "adoptions",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("their_schema", sa.Text(), nullable=False),
        sa.Column("their_clinic_id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column(
            "adopted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "mode_changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("their_schedule", JSONB(), nullable=True),
        sa.Column("last_diff", JSONB(), nullable=True),
        sa.Column("last_diff_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "layout IN ('documented', 'deployed')", name=op.f("ck_adoptions_layout")
        ),
        sa.CheckConstraint("mode IN ('shadow', 'live', 'off')", name=op.f("ck_adoptions_mode")),
        sa.CheckConstraint(
            "(last_diff IS NULL) = (last_diff_at IS NULL)", name=op.f("ck_adoptions_last_diff")
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_adoptions_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", name="pk_adoptions"),
    )


def _create_adopted_cases() -> None:
    op.create_table(
        "adopted_cases",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("their_case_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column(
            "linked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_adopted_cases_case_id_cases", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_adopted_cases_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "case_id", name="pk_adopted_cases"),
        sa.UniqueConstraint(
            "clinic_id", "their_case_id", name="uq_adopted_cases_clinic_id_their_case_id"
        ),
    )


def _create_steps() -> None:
    op.create_table(
        "adoption_steps",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_adoption_steps_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_adoption_steps"),
    )
    op.create_index(
        "ix_adoption_steps_clinic_id_seq", "adoption_steps", ["clinic_id", "seq"], unique=False
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON adoption_steps "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE adoption_steps ENABLE ALWAYS TRIGGER append_only")


def _limit_kinds(kinds: Collection[str]) -> None:
    op.drop_constraint(op.f("ck_case_events_kind"), "case_events")
    allowed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_case_events_kind"), "case_events", f"kind IN ({allowed})")
