"""What wrong clocks wrote, and what rejected holds keep, is shown by the audits.

An alert of its own for a wrong clock; and the age of a phase's last success leaves out what lies
in the future.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEPT_BY = "fk_case_sync_audits_kept_by_hold_id_reconciliation_holds"
_KINDS = (
    "failing",
    "overdue",
    "credentials_rejected",
    "human_needed",
    "hold",
    "dead_letter",
    "bad_schedule",
)
_NEW_KIND = "wrong_clock"


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "case_sync_audits",
        sa.Column("moments_repaired", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("case_sync_audits", sa.Column("kept_by_hold_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        _KEPT_BY,
        "case_sync_audits",
        "reconciliation_holds",
        ["kept_by_hold_id"],
        ["id"],
        ondelete="RESTRICT",
    )
    _allow_kinds((*_KINDS, _NEW_KIND))
    op.execute(_phases("AND audit.updated_at <= now() + interval '1 minute'"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_phases(""))
    op.execute(f"DELETE FROM alerts WHERE kind = '{_NEW_KIND}'")  # noqa: S608 - fixed text
    _allow_kinds(_KINDS)
    op.drop_constraint(_KEPT_BY, "case_sync_audits", type_="foreignkey")
    op.drop_column("case_sync_audits", "kept_by_hold_id")
    op.drop_column("case_sync_audits", "moments_repaired")


def _allow_kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_alerts_kind"), "alerts", type_="check")
    quoted = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_alerts_kind"), "alerts", f"kind IN ({quoted})")


def _phases(condition: str) -> str:
    return f"""
    CREATE OR REPLACE FUNCTION pims_metrics_phases()
    RETURNS TABLE (
        slug text, sync_type text, last_success_age double precision, ticks_skipped integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT clinic.slug, phase.sync_type,
            (SELECT extract(epoch FROM now() - max(audit.updated_at))
             FROM case_sync_audits AS audit
             WHERE audit.clinic_id = clinic.id AND audit.sync_type = phase.sync_type
                AND audit.status = 'completed' {condition}),
            coalesce(skip.skipped, 0)
        FROM clinics AS clinic
        CROSS JOIN (VALUES ('inbound'), ('cases'), ('reconciliation')) AS phase (sync_type)
        LEFT JOIN schedule_skips AS skip
            ON skip.clinic_id = clinic.id AND skip.sync_type = phase.sync_type
        WHERE clinic.is_active;
    END
    """  # noqa: S608 - fixed text
