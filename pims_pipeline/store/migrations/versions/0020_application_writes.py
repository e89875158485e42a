"""What was written to the application's cases of a v4.0 installation, and up to which event.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations.access import forget_access, grant_access

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KINDS = ("created", "updated", "retired", "restored")
_ACCESS = (("application_writes", "clinic_id", "SELECT, INSERT", ""),)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "adoptions",
        sa.Column("written_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    _create_writes()
    grant_access(*_ACCESS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    forget_access("application_writes")
    op.drop_table("application_writes")
    op.drop_column("adoptions", "written_seq")


def _create_writes() -> None:
    allowed = ", ".join(f"'{kind}'" for kind in _KINDS)
    op.create_table(
        "application_writes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("their_case_id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("columns", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("left_status", sa.Text(), nullable=True),
        sa.Column("left_type", sa.Text(), nullable=True),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(f"kind IN ({allowed})", name=op.f("ck_application_writes_kind")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_application_writes_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_application_writes"),
    )
    op.create_index(
        "ix_application_writes_case_id_seq", "application_writes", ["case_id", "seq"], unique=False
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON application_writes "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE application_writes ENABLE ALWAYS TRIGGER append_only")
