"""Which series a landed appointment belongs to, and which fields of a phase were unreadable.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "ix_pims_appointments_series"


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("pims_appointments", sa.Column("series_id", sa.Text(), nullable=True))
    # No row has a series yet, so that the index is empty and made at once.
    op.create_index(
        _INDEX,
        "pims_appointments",
        ["clinic_id", "provider_type", "series_id"],
        unique=False,
        postgresql_where=sa.text("series_id IS NOT NULL"),
    )
    op.add_column(
        "case_sync_audits",
        sa.Column("oddities", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("case_sync_audits", "oddities")
    op.drop_index(_INDEX, table_name="pims_appointments")
    op.drop_column("pims_appointments", "series_id")
