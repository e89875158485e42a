"""The append-only logs refuse changes in every session, one that replays another server's too.

A superuser's ``session_replication_role = replica`` switches ordinary triggers off.

Revision: 0009, after 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LOGS = ("case_events", "credential_access_log")


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _LOGS:
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _LOGS:
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")
