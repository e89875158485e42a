"""What `/metrics` counts of each clinic's failures is called what it is: those that are open.

Revision: 0014, after 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_function("open_failures")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_function("dead_letters")


def _replace_function(failures: str) -> None:
    """Make it again, since a column of a function cannot be renamed; bound to the tables now."""
    op.execute("DROP FUNCTION pims_metrics_clinics()")
    op.execute(
        f"""
    CREATE FUNCTION pims_metrics_clinics()
    RETURNS TABLE (slug text, open_holds bigint, {failures} bigint, session_is_valid boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT clinic.slug,
            (SELECT count(*) FROM reconciliation_holds AS hold
             WHERE hold.clinic_id = clinic.id AND hold.status = 'open'),
            (SELECT count(*) FROM sync_failures AS failure
             WHERE failure.clinic_id = clinic.id AND failure.resolved_at IS NULL),
            EXISTS (SELECT FROM pims_sessions AS session
             WHERE session.clinic_id = clinic.id AND session.provider_type = clinic.provider_type
                AND session.expires_at > now())
        FROM clinics AS clinic
        WHERE clinic.is_active
        ORDER BY clinic.slug;
    END
    """  # noqa: S608 - fixed names
    )
    op.execute("SELECT pims_reserve_functions()")
