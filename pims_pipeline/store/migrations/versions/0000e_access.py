"""Access: the roles of the service and of the API, and row-level security on every table.

``pims_access()`` says who may do what with each table; three functions carry it out:

- ``pims_secure_tables()`` turns row-level security on, and lets the owner see all rows; others
  lose the rights that row-level security does not cover;
- ``pims_grant_service()`` and ``pims_grant_api()`` give the two roles their rights and rows.

The service may change all tables, but the logs it may only add to. The API sees one clinic at a
time. The functions may be called again at any time: after a role was made, after the tables changed
hands. A migration that makes a table replaces ``pims_access()`` by one that knows the table, and
calls all three. Functions of the owner's rights (SECURITY DEFINER) whose names begin with ``pims_``
are the API's alone: a migration that makes one calls ``pims_reserve_functions()`` and, where
the role exists, ``pims_grant_api()``.

Revision: 0000e, after 0000d
"""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import context, op

from pims_pipeline.observability.logging import get_logger

revision = "0000e"
down_revision = "0000d"
branch_labels = None
depends_on = None

_GRANTS: Mapping[str, str] = {"pims_service": "pims_grant_service", "pims_api": "pims_grant_api"}
"""The function that grants each role its rights."""

_CHANGE = "SELECT, INSERT, UPDATE, DELETE"
_ADD = "SELECT, INSERT"
_READ = "SELECT"
_NOTHING = ""
_VERSIONS = "pims_alembic_version"

_ACCESS = (
    # table; the column that names the clinic, if any; the service's rights; the API's rights
    ("clinics", "id", _CHANGE, _READ),
    ("clinic_schedule_configs", "clinic_id", _CHANGE, _READ),
    ("clinic_api_keys", "clinic_id", _CHANGE, _NOTHING),
    ("pims_credentials", "clinic_id", _CHANGE, _NOTHING),
    ("pims_sessions", "clinic_id", _CHANGE, _NOTHING),
    ("credential_access_log", "clinic_id", _ADD, _READ),
    ("case_sync_audits", "clinic_id", _CHANGE, _READ),
    ("pims_appointments", "clinic_id", _CHANGE, _READ),
    ("cases", "clinic_id", _CHANGE, _READ),
    ("case_events", "clinic_id", _ADD, _READ),
    ("sync_failures", "clinic_id", _CHANGE, _READ),
    ("reconciliation_holds", "clinic_id", _CHANGE, _READ),
    ("sync_requests", "clinic_id", _CHANGE, _CHANGE),
    ("idempotency_keys", "clinic_id", _CHANGE, _CHANGE),
    ("alerts", "clinic_id", _CHANGE, _NOTHING),
    ("schedule_skips", "clinic_id", _CHANGE, _NOTHING),
    (_VERSIONS, None, _READ, _READ),
    ("run_leases", None, _CHANGE, _NOTHING),
    ("login_leases", "clinic_id", _CHANGE, _NOTHING),
)
_TABLES = tuple(table for table, *_ in _ACCESS)

log = get_logger(__name__)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for function in (
        _access_function(),
        _SECURE_FUNCTION,
        _POLICY_FUNCTION,
        _GRANT_FUNCTION,
        _SERVICE_FUNCTION,
        _API_FUNCTION,
        _RESERVE_FUNCTION,
        _KEY_FUNCTION,
        _USE_FUNCTION,
    ):
        op.execute(function)
    op.execute("SELECT pims_secure_tables()")
    op.execute("SELECT pims_reserve_functions()")
    for role, function in _GRANTS.items():
        op.execute(_role_created(role, function))
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN "
            f"PERFORM {function}(); END IF; END $$"
        )
        # Few operators see the server's notice.
        if not context.is_offline_mode() and not _role_exists(role):
            event = "service_role_missing" if role == "pims_service" else "api_role_missing"
            log.warning(event, role=role, run=_remedy(role, function))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_REVOCATION)
    for table in _TABLES:
        for policy in ("pims_owner", *_GRANTS):
            op.execute(f"DROP POLICY IF EXISTS {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for function in (
        "pims_note_api_key_use(uuid)",
        "pims_api_key(text)",
        "pims_reserve_functions()",
        "pims_grant_api()",
        "pims_grant_service()",
        "pims_grant_table(text, text, text)",
        "pims_set_policy(text, text, text, text)",
        "pims_secure_tables()",
        "pims_access()",
    ):
        op.execute(f"DROP FUNCTION {function}")


def _role_exists(role: str) -> bool:
    found = op.get_bind().scalar(sa.text("SELECT to_regrole(:role)"), {"role": role})
    return found is not None


def _remedy(role: str, function: str) -> str:
    return f"CREATE ROLE {role} NOLOGIN; SELECT {function}();"


def _role_created(role: str, function: str) -> str:
    # Another database's migration may create the role at the same time: the second one waits for
    # the first, and then fails because the role exists.
    return f"""
    DO $$
    BEGIN
        IF to_regrole('{role}') IS NULL THEN
            CREATE ROLE {role} NOLOGIN;
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;
        WHEN insufficient_privilege THEN
            RAISE NOTICE '%', 'the role {role} was not created, for want of CREATEROLE; to have '
                'it, run as a role that may create roles and owns the tables: '
                '{_remedy(role, function)}';
    END
    $$
    """


def _access_function() -> str:
    rows = ", ".join(
        f"('{table}', nullif('{column or ''}', ''), '{service}', '{api}')"
        for table, column, service, api in _ACCESS
    )
    return f"""
    CREATE FUNCTION pims_access()
    RETURNS TABLE (name text, clinic_column text, service_rights text, api_rights text)
    LANGUAGE sql IMMUTABLE SET search_path = '' AS $$ VALUES {rows} $$
    """


# The tables' owner need not be the one who migrates, and forced security shuts it out too. Where
# it owns the database, the policy names it by that: so it also holds for the role that
# restores a dump of the database.
_SECURE_FUNCTION = """
    CREATE FUNCTION pims_secure_tables() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        it record;
        grantee text;
    BEGIN
        FOR it IN
            SELECT name, relowner, relacl, CASE relowner
                WHEN datdba THEN 'pg_database_owner' ELSE pg_get_userbyid(relowner) END AS owner
            FROM pims_access() JOIN pg_class ON pg_class.oid = quote_ident(name)::regclass
            JOIN pg_database ON datname = current_database()
        LOOP
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', it.name);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', it.name);
            PERFORM pims_set_policy('pims_owner', it.name, it.owner, 'true');
            EXECUTE format('REVOKE TRUNCATE, REFERENCES, TRIGGER ON %I FROM PUBLIC', it.name);
            FOR grantee IN
                SELECT DISTINCT pg_get_userbyid(acl.grantee) FROM aclexplode(it.relacl) AS acl
                WHERE acl.grantee NOT IN (0, it.relowner)
            LOOP
                EXECUTE format('REVOKE TRUNCATE, REFERENCES, TRIGGER ON %I FROM %I CASCADE',
                    it.name, grantee);
            END LOOP;
        END LOOP;
    END
    $$
"""

_POLICY_FUNCTION = """
    CREATE FUNCTION pims_set_policy(policy text, name text, role text, rows text) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        EXECUTE format('DROP POLICY IF EXISTS %I ON %I', policy, name);
        EXECUTE format('CREATE POLICY %I ON %I TO %I USING (%s) WITH CHECK (%s)',
            policy, name, role, rows, rows);
    END
    $$
"""

_GRANT_FUNCTION = """
    CREATE FUNCTION pims_grant_table(name text, rights text, role text) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        -- Wider rights, given by hand or by a host's defaults, end here.
        EXECUTE format('REVOKE ALL ON %I FROM %I', name, role);
        IF rights <> '' THEN
            EXECUTE format('GRANT %s ON %I TO %I', rights, name, role);
        END IF;
        IF NOT has_schema_privilege(role, current_schema(), 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
        END IF;
    END
    $$
"""

_SERVICE_FUNCTION = """
    CREATE FUNCTION pims_grant_service() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        it record;
    BEGIN
        FOR it IN SELECT * FROM pims_access() LOOP
            PERFORM pims_grant_table(it.name, it.service_rights, 'pims_service');
            PERFORM pims_set_policy('pims_service', it.name, 'pims_service', 'true');
        END LOOP;
        EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s, %s TO pims_service',
            pg_get_serial_sequence('case_events', 'seq')::regclass,
            pg_get_serial_sequence('credential_access_log', 'id')::regclass);
    END
    $$
"""

# The setting is read in a subquery, once per statement: row by row it would cost more than the
# rows. One that was set in an ended transaction reads as the empty text.
_API_FUNCTION = """
    CREATE FUNCTION pims_grant_api() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        it record;
        own constant text :=
            '%I = (SELECT nullif(current_setting(''pims.clinic_id'', true), '''')::uuid)';
    BEGIN
        FOR it IN SELECT * FROM pims_access() LOOP
            PERFORM pims_grant_table(it.name, it.api_rights, 'pims_api');
            IF it.api_rights <> '' THEN
                PERFORM pims_set_policy('pims_api', it.name, 'pims_api', CASE
                    WHEN it.clinic_column IS NULL THEN 'true' ELSE format(own, it.clinic_column)
                END);
            END IF;
        END LOOP;
        PERFORM pims_reserve_functions();
    END
    $$
"""

# Hosts grant every new function to roles of their own, by default privileges.
_RESERVE_FUNCTION = """
    CREATE FUNCTION pims_reserve_functions() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        it record;
        grantee text;
    BEGIN
        FOR it IN
            SELECT oid::regprocedure AS name, proowner, proacl FROM pg_proc
            WHERE prosecdef AND starts_with(proname, 'pims_')
                AND pronamespace = current_schema()::regnamespace
                AND proowner = (SELECT relowner FROM pg_class WHERE oid = 'clinics'::regclass)
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it.name);
            FOR grantee IN
                SELECT DISTINCT pg_get_userbyid(acl.grantee) FROM aclexplode(it.proacl) AS acl
                WHERE acl.grantee NOT IN (0, it.proowner)
            LOOP
                EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I CASCADE', it.name, grantee);
            END LOOP;
            IF to_regrole('pims_api') IS NOT NULL THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pims_api', it.name);
            END IF;
        END LOOP;
    END
    $$
"""

# Their bodies are bound to the tables now, by SQL's own rules: no search path, not even one with
# temporary tables of the caller's in it, can lead them elsewhere.
_KEY_FUNCTION = """
    CREATE FUNCTION pims_api_key(prefix text)
    RETURNS TABLE (
        id uuid, clinic_id uuid, clinic_is_active boolean, key_hash text, permissions text[],
        is_active boolean, expires_at timestamptz, last_used_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT key.id, key.clinic_id, clinic.is_active, key.key_hash::text, key.permissions,
            key.is_active, key.expires_at, key.last_used_at
        FROM clinic_api_keys AS key JOIN clinics AS clinic ON clinic.id = key.clinic_id
        WHERE key.key_prefix = prefix::char(8) AND length(prefix) = 8;
    END
"""

_USE_FUNCTION = """
    CREATE FUNCTION pims_note_api_key_use(key_id uuid) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        UPDATE clinic_api_keys SET last_used_at = now()
        WHERE id = key_id
            AND (last_used_at IS NULL OR last_used_at <= now() - interval '1 minute');
    END
"""

# The roles themselves stay: other databases of the server may use them, and logins be members of
# them.
_REVOCATION = f"""
    DO $$
    DECLARE
        role text;
    BEGIN
        FOREACH role IN ARRAY ARRAY['pims_service', 'pims_api'] LOOP
            IF to_regrole(role) IS NOT NULL THEN
                EXECUTE format('REVOKE ALL ON {", ".join(_TABLES)} FROM %I', role);
                EXECUTE format('REVOKE ALL ON SEQUENCE %s, %s FROM %I',
                    pg_get_serial_sequence('case_events', 'seq')::regclass,
                    pg_get_serial_sequence('credential_access_log', 'id')::regclass, role);
            END IF;
        END LOOP;
    END
    $$
"""
