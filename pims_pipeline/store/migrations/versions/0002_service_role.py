"""The service's role: it may change all of our tables, but the logs it may only add to.

The rights are given by a function of the database, ``pims_grant_service()``, so that whoever
may create roles can catch up on it where the migration may not. A migration that makes a
table replaces the function by one that knows the table, and calls it.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import context, op

from pims_pipeline.observability.logging import get_logger

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROLE = "pims_service"
_CHANGED = (
    "clinics",
    "clinic_schedule_configs",
    "clinic_api_keys",
    "pims_credentials",
    "pims_sessions",
    "case_sync_audits",
    "pims_appointments",
    "cases",
    "sync_failures",
    "reconciliation_holds",
)
_APPENDED = ("case_events", "credential_access_log")
_NUMBERED = (("case_events", "seq"), ("credential_access_log", "id"))
_VERSIONS = "pims_alembic_version"
_REMEDY = f"CREATE ROLE {_ROLE} NOLOGIN; SELECT pims_grant_service();"

log = get_logger(__name__)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_grant_function())
    op.execute(_ROLE_CREATED)
    op.execute(
        f"DO $$ BEGIN IF to_regrole('{_ROLE}') IS NOT NULL THEN "
        "PERFORM pims_grant_service(); END IF; END $$"
    )
    # The server's notice reaches few eyes.
    if not context.is_offline_mode() and not _role_exists():
        log.warning("service_role_missing", role=_ROLE, run=_REMEDY)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_revocation())
    op.execute("DROP FUNCTION pims_grant_service()")


def _role_exists() -> bool:
    found = op.get_bind().scalar(sa.text("SELECT to_regrole(:role)"), {"role": _ROLE})
    return found is not None


def _for_each_sequence(statement: str) -> str:
    """The statement, in PL/pgSQL, for the sequences that number the logs' rows."""
    return "\n".join(
        f"EXECUTE format('{statement}', pg_get_serial_sequence('{table}', '{column}')::regclass);"
        for table, column in _NUMBERED
    )


def _grant_function() -> str:
    changed, appended = ", ".join(_CHANGED), ", ".join(_APPENDED)
    return f"""
    CREATE FUNCTION pims_grant_service() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        -- Wider rights, given by hand or by a host's defaults, end here.
        REVOKE ALL ON {appended}, {_VERSIONS} FROM {_ROLE};
        GRANT SELECT, INSERT, UPDATE, DELETE ON {changed} TO {_ROLE};
        GRANT SELECT, INSERT ON {appended} TO {_ROLE};
        GRANT SELECT ON {_VERSIONS} TO {_ROLE};
        {_for_each_sequence(f"GRANT USAGE, SELECT ON SEQUENCE %s TO {_ROLE}")}
        IF NOT has_schema_privilege('{_ROLE}', current_schema(), 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {_ROLE}', current_schema());
        END IF;
    END
    $$
    """


def _revocation() -> str:
    # The role itself stays: it belongs to the whole server, where other databases may use it
    # and logins be members of it, and without rights it is nothing.
    return f"""
    DO $$
    BEGIN
        IF to_regrole('{_ROLE}') IS NOT NULL THEN
            REVOKE ALL ON {", ".join((*_CHANGED, *_APPENDED, _VERSIONS))} FROM {_ROLE};
            {_for_each_sequence(f"REVOKE ALL ON SEQUENCE %s FROM {_ROLE}")}
        END IF;
    END
    $$
    """


# Another database's migration may create the role at the same moment: the one that comes
# second waits for the first, and is told that it exists.
_ROLE_CREATED = f"""
    DO $$
    BEGIN
        IF to_regrole('{_ROLE}') IS NULL THEN
            CREATE ROLE {_ROLE} NOLOGIN;
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;
        WHEN insufficient_privilege THEN
            RAISE NOTICE '%', 'the role {_ROLE} was not created, for want of CREATEROLE; to have '
                'it, run as a role that may create roles and owns the tables: {_REMEDY}';
    END
    $$
"""
