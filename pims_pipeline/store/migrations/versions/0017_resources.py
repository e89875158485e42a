"""A clinic may sync only some rooms, columns and providers of its calendar.

`clinics` names them; each landed appointment has its own, and whether it is left out. Records that
were landed before have none until they are listed again, and are left out by no filter until then.

Revision: 0017, after 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Constant defaults: no table is rewritten.
    op.execute(
        """
        ALTER TABLE clinics
            ADD COLUMN included_resources text[],
            ADD COLUMN excluded_resources text[],
            ADD CONSTRAINT ck_clinics_one_kind_of_resources
                CHECK (included_resources IS NULL OR excluded_resources IS NULL),
            ADD CONSTRAINT ck_clinics_some_resources
                CHECK (cardinality(included_resources) > 0 AND cardinality(excluded_resources) > 0)
        """
    )
    op.execute(
        """
        ALTER TABLE pims_appointments
            ADD COLUMN resources text[],
            ADD COLUMN left_out boolean NOT NULL DEFAULT false,
            ADD COLUMN followed_digest text
        """
    )
    op.execute("ALTER TABLE case_sync_audits ADD COLUMN cases_left_out integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE case_sync_audits DROP COLUMN cases_left_out")
    op.execute(
        "ALTER TABLE pims_appointments "
        "DROP COLUMN resources, DROP COLUMN left_out, DROP COLUMN followed_digest"
    )
    op.execute("ALTER TABLE clinics DROP COLUMN included_resources, DROP COLUMN excluded_resources")
