"""How an adopted clinic compared with v4.0, one row for each day, and the metric of it.

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.store.migrations.access import forget_access, grant_access

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
    op.execute(_METRICS)
    op.execute("SELECT pims_reserve_functions()")
    grant_access((_TABLE, "clinic_id", "SELECT, INSERT, UPDATE, DELETE", ""))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION pims_metrics_adoptions()")
    forget_access(_TABLE)
    op.drop_table(_TABLE)
