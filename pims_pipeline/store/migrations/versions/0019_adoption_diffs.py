"""How an adopted clinic compared with v4.0, one row for each day, and the metric of it.

``pims_access()`` is extended from what it is when this runs, as by the revision before.

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TABLE = "adoption_diffs"
_METRICS = """
    CREATE FUNCTION pims_metrics_adoptions() RETURNS TABLE (slug text, differences integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT DISTINCT ON (clinic.slug) clinic.slug, diff.differences
        FROM adoptions AS adoption
        JOIN clinics AS clinic ON clinic.id = adoption.clinic_id
        JOIN adoption_diffs AS diff ON diff.clinic_id = adoption.clinic_id
        WHERE adoption.mode <> 'off' AND clinic.is_active
        ORDER BY clinic.slug, diff.day DESC;
    END
"""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        _TABLE,
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("window_start", sa.Date(), nullable=False),
        sa.Column("window_end", sa.Date(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("by_kind", JSONB(), nullable=False),
        sa.Column(
            "compared_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_adoption_diffs_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "day", name="pk_adoption_diffs"),
    )
    _replace_access(
        f"UNION ALL SELECT '{_TABLE}', 'clinic_id', 'SELECT, INSERT, UPDATE, DELETE', ''"
    )
    op.execute(_METRICS)
    op.execute("SELECT pims_reserve_functions()")
    op.execute("SELECT pims_secure_tables()")
    for role, function in (("pims_service", "service"), ("pims_api", "api")):
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN "
            f"PERFORM pims_grant_{function}(); END IF; END $$"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION pims_metrics_adoptions()")
    _replace_access("")
    op.drop_table(_TABLE)


def _replace_access(more: str) -> None:
    """Make ``pims_access()`` again, of its other rows and ``more``."""
    op.execute(
        f"""
        DO $do$
        DECLARE
            rows text;
        BEGIN
            SELECT string_agg(
                format('(%L, %L, %L, %L)', name, clinic_column, service_rights, api_rights), ', ')
            INTO rows
            FROM (SELECT * FROM pims_access() WHERE name <> '{_TABLE}' {more}) AS access;
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pims_access() '
                'RETURNS TABLE (name text, clinic_column text, service_rights text, '
                'api_rights text) LANGUAGE sql IMMUTABLE SET search_path = '''' AS %L',
                'VALUES ' || rows);
        END
        $do$
        """  # noqa: S608 - fixed names
    )
