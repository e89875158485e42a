"""A provider type has the shape of one; which types there are is known to the program only.

``pims_appointments``, ``cases`` and ``sync_failures`` copy the type from their clinic. They have a
row for each record, and the check would double the cost of an update.

Revision: 0021, after 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLES = ("clinics", "pims_credentials", "pims_sessions", "credential_access_log", "login_leases")


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.create_check_constraint(
            op.f(f"ck_{table}_provider_type"), table, "provider_type ~ '^[a-z][a-z0-9_]{1,39}$'"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.drop_constraint(op.f(f"ck_{table}_provider_type"), table)
