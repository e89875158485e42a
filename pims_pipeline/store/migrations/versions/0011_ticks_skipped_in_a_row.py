"""How many ticks of a phase were skipped since it last ran by schedule, and an alert on that.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FORMER_KINDS = (
    "failing",
    "overdue",
    "credentials_rejected",
    "human_needed",
    "hold",
    "dead_letter",
    "bad_schedule",
    "wrong_clock",
)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "schedule_skips",
        sa.Column("in_a_row", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    _allow_kinds((*_FORMER_KINDS, "ticks_skipped"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM alerts WHERE kind = 'ticks_skipped'")
    _allow_kinds(_FORMER_KINDS)
    op.drop_column("schedule_skips", "in_a_row")


def _allow_kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_alerts_kind"), "alerts", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_alerts_kind"), "alerts", f"kind IN ({listed})")
