"""Leases: who is at work, as rows that expire by the database's own clock.

No transaction is held for them, so that they work through any pooler.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations import service_rights

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NEW = (
    # table; the column that names the clinic, if any; the service's rights; the API's rights
    ("run_leases", "", "SELECT, INSERT, UPDATE, DELETE", ""),
    ("login_leases", "clinic_id", "SELECT, INSERT, UPDATE, DELETE", ""),
)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "run_leases",
        sa.Column("owner", sa.Integer, autoincrement=False, nullable=False),
        *_moments(),
        sa.PrimaryKeyConstraint("owner", name="pk_run_leases"),
    )
    op.create_table(
        "login_leases",
        sa.Column("clinic_id", sa.Uuid, nullable=False),
        sa.Column("provider_type", sa.Text, nullable=False),
        sa.Column("holder", sa.Uuid, nullable=False),
        *_moments(),
        sa.PrimaryKeyConstraint("clinic_id", "provider_type", name="pk_login_leases"),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name="fk_login_leases_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
    )
    op.execute(_access_with(_NEW))
    _secure()


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_access_with(()))
    for table, *_ in _NEW:
        op.drop_table(table)
    _secure()


def _moments() -> tuple["sa.Column[object]", ...]:
    moment, now = sa.DateTime(timezone=True), sa.text("now()")
    return (
        sa.Column("renewed_at", moment, nullable=False, server_default=now),
        sa.Column("expires_at", moment, nullable=False),
    )


def _secure() -> None:
    op.execute("SELECT pims_secure_tables()")
    op.execute(service_rights.granted("pims_grant_service", service_rights.ROLE))
    op.execute(service_rights.granted("pims_grant_api", "pims_api"))


def _access_with(added: tuple[tuple[str, str, str, str], ...]) -> str:
    """The statement that replaces ``pims_access()``: what it said of others, and ``added``."""
    ours = ", ".join(f"'{table}'" for table, *_ in _NEW)
    rows = "".join(
        f" || ', (''{table}'', nullif(''{column}'', ''''), ''{service}'', ''{api}'')'"
        for table, column, service, api in added
    )
    return f"""
    DO $do$
    DECLARE
        lines text;
    BEGIN
        SELECT string_agg(format('(%L, nullif(%L, ''''), %L, %L)',
            name, coalesce(clinic_column, ''), service_rights, api_rights), ', ')
        INTO lines FROM pims_access() WHERE name NOT IN ({ours});
        EXECUTE 'CREATE OR REPLACE FUNCTION pims_access() '
            'RETURNS TABLE (name text, clinic_column text, service_rights text, api_rights text) '
            'LANGUAGE sql IMMUTABLE SET search_path = '''' AS $$ VALUES ' || lines{rows} || ' $$';
    END
    $do$
    """  # noqa: S608 - our own names
