"""The class of the error that a sync failed with has a column of its own.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("case_sync_audits", sa.Column("error_class", sa.Text(), nullable=True))
    # Messages began with the class, followed by a colon where there was more to say.
    op.execute(
        """
        UPDATE case_sync_audits SET error_class = split_part(error_message, ':', 1)
        WHERE status = 'failed' AND error_message ~ '^[A-Za-z_][A-Za-z0-9_]*(:|$)'
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("case_sync_audits", "error_class")
