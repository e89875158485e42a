"""What the API's role may tell Prometheus of all clinics: slugs, counts and ages.

And an index that finds each phase's last success without reading what failed since.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEX = "ix_case_sync_audits_completed"


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        _INDEX,
        "case_sync_audits",
        ["clinic_id", "sync_type", "updated_at"],
        unique=False,
        postgresql_where=sa.text("status = 'completed'"),
    )
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
    op.drop_index(_INDEX, table_name="case_sync_audits")


# Bound to the tables now, as 0004 tells.
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
                AND audit.status = 'completed'),
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
