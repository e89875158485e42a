"""What clinics' own status and type words mean, as a log of every change.

Revision: 0023, after 0022
"""

from collections.abc import Collection

import sqlalchemy as sa
from alembic import op

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
    _replace_access("name IS NOT NULL", _ACCESS)
    op.execute("SELECT pims_secure_tables()")
    for role, function in (("pims_service", "service"), ("pims_api", "api")):
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN "
            f"PERFORM pims_grant_{function}(); END IF; END $$"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_access("name <> 'clinic_words'", ())
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


def _replace_access(kept: str, added: Collection[tuple[str, str, str, str]]) -> None:
    """Make ``pims_access()`` again, of its present rows that are ``kept`` and the added ones."""
    more = "".join(
        f" UNION ALL SELECT '{table}', '{column}', '{service}', '{api}'"
        for table, column, service, api in added
    )
    op.execute(
        f"""
        DO $do$
        DECLARE
            rows text;
        BEGIN
            SELECT string_agg(
                format('(%L, %L, %L, %L)', name, clinic_column, service_rights, api_rights), ', ')
            INTO rows
            FROM (SELECT * FROM pims_access() WHERE {kept}{more}) AS access;
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pims_access() '
                'RETURNS TABLE (name text, clinic_column text, service_rights text, '
                'api_rights text) LANGUAGE sql IMMUTABLE SET search_path = '''' AS %L',
                'VALUES ' || rows);
        END
        $do$
        """  # noqa: S608 - fixed names
    )
