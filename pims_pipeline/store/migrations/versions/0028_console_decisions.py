"""What operators decide in the console: the rights to write it, by role.

The console's role may now reject a hold, make a failure due and change a schedule, and reads the
log of its clinics. A restrictive policy asks for the operator's role at the clinic, so that no
mistake in a page lets a viewer decide.

Revision: 0028, after 0027
"""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations.console_functions import (
    CONSOLE_CALLS,
    FUNCTIONS,
    reserve_function,
)

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_SCHEDULE = "sync_schedules, days_ahead, lookback_days, parallel_batch_size, updated_at"
_RIGHTS: Mapping[str, str] = {
    "reconciliation_holds": "SELECT, UPDATE (status, decided_by, decided_at, plan)",
    "sync_failures": "SELECT, UPDATE (next_retry_at)",
    "clinic_schedule_configs": (f"SELECT, INSERT (clinic_id, {_SCHEDULE}), UPDATE ({_SCHEDULE})"),
}
"""What the console's role may do with tables that it read before."""
_LOG = "SELECT (seq, operator_id, clinic_id, action, case_id, details, occurred_at)"
_CALL = "pims_operator_clinics_as(text)"
_DECISIONS = (
    "action IN ('hold_approved', 'hold_rejected', 'hold_reopened', 'failure_retried', "
    "'schedule_changed', 'sync_started')"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_CLINICS_AS)
    op.execute(reserve_function((*CONSOLE_CALLS, _CALL)))
    op.execute("SELECT pims_reserve_functions()")
    _replace_access(
        f"SELECT name, CASE name {_cases(_RIGHTS)} ELSE rights END "  # noqa: S608 - fixed text
        f"FROM pims_console_access() UNION ALL VALUES ('operator_log', '{_LOG}')"
    )
    op.execute(_GRANT)
    op.execute(_IF_ROLE.format("PERFORM pims_grant_console();"))
    op.create_index(
        "ix_operator_log_decisions",
        "operator_log",
        ["clinic_id", "seq"],
        postgresql_where=sa.text(_DECISIONS),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_operator_log_decisions", "operator_log")
    for table, verb, _ in _BY_ROLE:
        op.execute(f"DROP POLICY IF EXISTS pims_console_{verb.lower()} ON {table}")
    op.execute("DROP POLICY IF EXISTS pims_console ON operator_log")
    op.execute(_IF_ROLE.format("REVOKE ALL ON operator_log FROM pims_console;"))
    _replace_access(
        f"SELECT name, CASE name {_cases(dict.fromkeys(_RIGHTS, 'SELECT'))} ELSE rights END "  # noqa: S608 - fixed text
        "FROM pims_console_access() WHERE name <> 'operator_log'"
    )
    [former] = [text for name, text in FUNCTIONS if name == "pims_grant_console()"]
    op.execute(former.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    op.execute(reserve_function(CONSOLE_CALLS))
    op.execute(f"DROP FUNCTION {_CALL}")
    op.execute(_IF_ROLE.format("PERFORM pims_grant_console();"))


def _cases(rights: Mapping[str, str]) -> str:
    return " ".join(f"WHEN '{table}' THEN '{right}'" for table, right in rights.items())


def _replace_access(rows: str) -> None:
    """Replace what the console may do by ``rows``, which may read what it may do now."""
    op.execute(
        f"""
        DO $do$
        DECLARE
            rows text;
        BEGIN
            SELECT string_agg(format('(%L, %L)', name, rights), ', ') INTO rows
            FROM ({rows}) AS access (name, rights);
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pims_console_access() '
                'RETURNS TABLE (name text, rights text) '
                'LANGUAGE sql IMMUTABLE SET search_path = '''' AS %L', 'VALUES ' || rows);
        END
        $do$
        """  # noqa: S608 - fixed text
    )


_IF_ROLE = "DO $$ BEGIN IF to_regrole('pims_console') IS NOT NULL THEN {} END IF; END $$"

# Read once per statement, like pims_operator_clinics(), whose clinics these are among.
_CLINICS_AS = """
    CREATE FUNCTION pims_operator_clinics_as(least_role text) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT DISTINCT clinic.id
        FROM operator_sign_ins AS used
        JOIN operators AS operator ON operator.id = used.operator_id AND operator.is_active
        JOIN operator_roles AS held ON held.operator_id = operator.id
            AND array_position(ARRAY['viewer', 'operator', 'admin'], held.role)
                >= array_position(ARRAY['viewer', 'operator', 'admin'], least_role)
        JOIN clinics AS clinic ON held.clinic_id IS NULL OR held.clinic_id = clinic.id
        WHERE used.id_hash = current_setting('pims.operator_sign_in', true)
            AND used.expires_at > now()
            AND clinic.id = coalesce(
                nullif(current_setting('pims.clinic_id', true), '')::uuid, clinic.id);
    END
"""

_BY_ROLE = (
    ("reconciliation_holds", "UPDATE", "operator"),
    ("sync_failures", "UPDATE", "operator"),
    ("clinic_schedule_configs", "UPDATE", "admin"),
    ("clinic_schedule_configs", "INSERT", "admin"),
)
"""The role that an operator needs for a statement on a table."""
_BY_ROLE_ROWS = ", ".join(str(each) for each in _BY_ROLE)

_GRANT = f"""
    CREATE OR REPLACE FUNCTION pims_grant_console() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        it record;
    BEGIN
        FOR it IN
            SELECT name, rights, clinic_column
            FROM pims_console_access() JOIN pims_access() USING (name)
        LOOP
            PERFORM pims_grant_table(it.name, it.rights, 'pims_console');
            PERFORM pims_set_policy('pims_console', it.name, 'pims_console',
                format('%I IN (SELECT pims_operator_clinics())', it.clinic_column));
        END LOOP;
        FOR it IN
            SELECT * FROM (VALUES {_BY_ROLE_ROWS}) AS rule (name, verb, least_role)
        LOOP
            EXECUTE format('DROP POLICY IF EXISTS %I ON %I',
                'pims_console_' || lower(it.verb), it.name);
            EXECUTE format(
                'CREATE POLICY %I ON %I AS RESTRICTIVE FOR %s TO pims_console %s '
                '(clinic_id IN (SELECT pims_operator_clinics_as(%L)))',
                'pims_console_' || lower(it.verb), it.name, it.verb,
                CASE it.verb WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END, it.least_role);
        END LOOP;
        PERFORM pims_reserve_functions();
    END
    $$
"""  # noqa: S608 - fixed text
