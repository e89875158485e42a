"""What clinics' own status and type words mean, as a log of every change.

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations.access import forget_access, grant_access

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_STATUSES = "'draft', 'ongoing', 'completed', 'reviewed'"
_TYPES = "'checkup', 'surgery', 'emergency', 'follow_up'"
_ACCESS = (("clinic_words", "clinic_id", "SELECT, INSERT", ""),)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_words()
    grant_access(*_ACCESS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    forget_access("clinic_words")
    op.drop_table("clinic_words")


def _create_words() -> None:
    op.create_table(
        "clinic_words",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("meaning", sa.Text(), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('status', 'type')", name=op.f("ck_clinic_words_kind")),
        sa.CheckConstraint("word <> ''", name=op.f("ck_clinic_words_word")),
        sa.CheckConstraint(
            f"meaning IS NULL OR CASE kind WHEN 'status' THEN meaning IN ({_STATUSES}) "
            f"ELSE meaning IN ({_TYPES}) END",
            name=op.f("ck_clinic_words_meaning"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_clinic_words_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_clinic_words"),
    )
    op.create_index("ix_clinic_words_clinic_id_seq", "clinic_words", ["clinic_id", "seq"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON clinic_words "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_refuse_change()"
    )
    # In every session, one that replays another server's too.
    op.execute("ALTER TABLE clinic_words ENABLE ALWAYS TRIGGER append_only")
