"""What the API's role may show Prometheus of all clinics: slugs, counts and ages.

The last revision of the baseline. Its number is that of the last one before the first release,
whose tables were the same, so that databases of that time go on from here.

Revision: 0012, after 0000e
"""

from alembic import op

revision = "0012"
down_revision = "0000e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for function in (_CLINICS, _PHASES, _ALERTS, _SYNCS):
        op.execute(function)
    op.execute("SELECT pims_reserve_functions()")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for function in (
        "pims_metrics_syncs(timestamptz)",
        "pims_metrics_alerts()",
        "pims_metrics_phases()",
        "pims_metrics_clinics()",
    ):
        op.execute(f"DROP FUNCTION {function}")


# Bound to the tables now: see 0000e.
_CLINICS = """
    CREATE FUNCTION pims_metrics_clinics()
    RETURNS TABLE (slug text, open_holds bigint, dead_letters bigint, session_is_valid boolean)
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
"""

_PHASES = """
    CREATE FUNCTION pims_metrics_phases()
    RETURNS TABLE (
        slug text, sync_type text, last_success_age double precision, ticks_skipped integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT clinic.slug, phase.sync_type,
            (SELECT extract(epoch FROM now() - max(audit.updated_at))
             FROM case_sync_audits AS audit
             WHERE audit.clinic_id = clinic.id AND audit.sync_type = phase.sync_type
                AND audit.status = 'completed'
                AND audit.updated_at <= now() + interval '1 minute'),
            coalesce(skip.skipped, 0)
        FROM clinics AS clinic
        CROSS JOIN (VALUES ('inbound'), ('cases'), ('reconciliation')) AS phase (sync_type)
        LEFT JOIN schedule_skips AS skip
            ON skip.clinic_id = clinic.id AND skip.sync_type = phase.sync_type
        WHERE clinic.is_active;
    END
"""

_ALERTS = """
    CREATE FUNCTION pims_metrics_alerts() RETURNS TABLE (kind text, open bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT alert.kind, count(*) FROM alerts AS alert
        WHERE alert.ended_at IS NULL
        GROUP BY alert.kind;
    END
"""

_SYNCS = """
    CREATE FUNCTION pims_metrics_syncs(since timestamptz)
    RETURNS TABLE (
        id uuid, slug text, sync_type text, status text, duration_ms bigint,
        updated_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT audit.id, clinic.slug, audit.sync_type, audit.status, audit.duration_ms,
            audit.updated_at
        FROM case_sync_audits AS audit JOIN clinics AS clinic ON clinic.id = audit.clinic_id
        WHERE audit.updated_at >= since AND audit.status <> 'in_progress';
    END
"""
