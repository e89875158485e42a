"""Pages of landed appointments have room for a next version of each of their rows.

Every listing marks all rows of its window as seen. With less room, most of the new versions go to
other pages, and each of them takes an entry in every index. Pages that exist are changed as their
rows are updated.

Revision: 0015, after 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE pims_appointments SET (fillfactor = 50)")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE pims_appointments SET (fillfactor = 80)")
