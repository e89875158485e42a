"""The change feed: each clinic's events are numbered in the order of their commits.

A number is drawn from a sequence before its transaction commits. Only where writers of one clinic
follow each other is the order of numbers that of the commits, so that a reader who has seen a
number has seen all smaller ones. The clinic's advisory lock makes them follow each other, and the
trigger refuses events that are written without it.

Revision: 0025, after 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_CHECK = """
    CREATE FUNCTION pims_check_feed_order() RETURNS trigger
    LANGUAGE plpgsql SET search_path = '' AS $$
    BEGIN
        -- The key as lock_clinic() makes it: the first four bytes of the clinic's id.
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT clinic_id FROM added) AS clinic
            WHERE NOT EXISTS (
                SELECT FROM pg_catalog.pg_locks
                WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() AND granted
                    AND mode = 'ExclusiveLock' AND objsubid = 2 AND classid = 1
                    AND objid = ('x' || pg_catalog.left(clinic_id::text, 8))
                        ::pg_catalog.bit(32)::bigint::pg_catalog.oid
            )
        ) THEN
            RAISE EXCEPTION 'case_events are added under the lock of their clinic only: '
                'call lock_clinic() first in the transaction'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        RETURN NULL;
    END
    $$
"""

_LAST = """
    CREATE FUNCTION pims_last_change() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM case_events_seq_seq;
    END
"""


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index("ix_case_events_clinic_id_seq", "case_events", ["clinic_id", "seq"])
    op.execute(_CHECK)
    op.execute(
        "CREATE TRIGGER feed_order AFTER INSERT ON case_events REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION pims_check_feed_order()"
    )
    op.execute(_LAST)
    op.execute("SELECT pims_reserve_functions()")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION pims_last_change()")
    op.execute("DROP TRIGGER feed_order ON case_events")
    op.execute("DROP FUNCTION pims_check_feed_order()")
    op.drop_index("ix_case_events_clinic_id_seq", "case_events")
