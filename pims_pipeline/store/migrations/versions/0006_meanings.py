"""What the words of each landed appointment meant when its case last followed them.

Rows that are there keep NULL, which reads as the words' first meanings: see
``pims_pipeline.domain.cases.FIRST_WORDS``. So none of them has to be written.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = "pims_appointments"
_CHECKS = {
    "ck_pims_appointments_meant_status": (
        "meant_status IN ('draft', 'ongoing', 'completed', 'reviewed')"
    ),
    "ck_pims_appointments_meant_type": (
        "meant_type IN ('checkup', 'surgery', 'emergency', 'follow_up')"
    ),
    "ck_pims_appointments_meaning": "(meant_status IS NULL) = (meant_type IS NULL)",
}


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(_TABLE, sa.Column("meant_status", sa.Text(), nullable=True))
    op.add_column(_TABLE, sa.Column("meant_type", sa.Text(), nullable=True))
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(name), _TABLE, condition)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in _CHECKS:
        op.drop_constraint(op.f(name), _TABLE, type_="check")
    op.drop_column(_TABLE, "meant_type")
    op.drop_column(_TABLE, "meant_status")
