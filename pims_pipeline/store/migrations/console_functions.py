"""The functions of revision 0027: what the console may ask the database, and its role's rights.

Functions with the owner's rights are bound to the tables when they are made: no search path can
lead them elsewhere (see ``0000e_access.py``).
"""

from collections.abc import Sequence

FUNCTIONS: tuple[tuple[str, str], ...] = (
    (
        "pims_operator_by_name(text)",
        """
    CREATE FUNCTION pims_operator_by_name(wanted text)
    RETURNS TABLE (id uuid, password_hash text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT operator.id, operator.password_hash FROM operators AS operator
        WHERE operator.name = wanted AND operator.is_active;
    END
""",
    ),
    (
        "pims_count_sign_in_attempt(text, interval)",
        # A row lock on the subject: attempts at the same time count one after the other.
        """
    CREATE FUNCTION pims_count_sign_in_attempt(wanted text, lasts interval)
    RETURNS TABLE (attempts integer, seconds_left double precision)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        DELETE FROM sign_in_attempts AS old WHERE old.subject IN (
            SELECT gone.subject FROM sign_in_attempts AS gone
            WHERE gone.began_at < now() - lasts AND gone.subject <> wanted
            FOR UPDATE SKIP LOCKED
        );
        INSERT INTO sign_in_attempts AS counted (subject, attempts)
        VALUES (wanted, 1)
        ON CONFLICT (subject) DO UPDATE SET
            attempts = CASE WHEN counted.began_at < now() - lasts THEN 1
                ELSE counted.attempts + 1 END,
            began_at = CASE WHEN counted.began_at < now() - lasts THEN now()
                ELSE counted.began_at END
        RETURNING counted.attempts,
            extract(epoch FROM counted.began_at + lasts - now())::double precision;
    END
""",
    ),
    (
        "pims_forget_sign_in_attempts(text)",
        """
    CREATE FUNCTION pims_forget_sign_in_attempts(forgotten text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        DELETE FROM sign_in_attempts AS counted WHERE counted.subject = forgotten;
    END
""",
    ),
    (
        "pims_signed_in_from(text, text, interval)",
        """
    CREATE FUNCTION pims_signed_in_from(wanted text, client text, lasts interval) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT EXISTS (
            SELECT FROM operators AS operator
            JOIN operator_log AS line ON line.operator_id = operator.id
            WHERE operator.name = wanted AND operator.is_active AND line.action = 'signed_in'
                AND line.address = client AND line.occurred_at > now() - lasts
        );
    END
""",
    ),
    (
        "pims_open_sign_in(uuid, text, text, text, interval)",
        # The row lock waits for one who changes the password, and the other way round.
        """
    CREATE FUNCTION pims_open_sign_in(
        signed_in uuid, checked_hash text, new_hash text, former_hash text, idle interval
    ) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        DELETE FROM operator_sign_ins AS old
        WHERE old.id_hash = former_hash OR old.expires_at < now();
        INSERT INTO operator_sign_ins (id_hash, operator_id, expires_at)
        SELECT new_hash, operator.id, now() + idle FROM operators AS operator
        WHERE operator.id = signed_in AND operator.is_active
            AND operator.password_hash IS NOT DISTINCT FROM checked_hash
        FOR SHARE
        RETURNING true;
    END
""",
    ),
    (
        "pims_close_sign_in(text)",
        """
    CREATE FUNCTION pims_close_sign_in(closed_hash text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        DELETE FROM operator_sign_ins AS old WHERE old.id_hash = closed_hash;
    END
""",
    ),
    (
        "pims_signed_in_operator(text, interval, interval)",
        # Written at most once a minute: pages must not queue for the row.
        """
    CREATE FUNCTION pims_signed_in_operator(used_hash text, idle interval, longest interval)
    RETURNS TABLE (id uuid, name text, clinic_id uuid, role text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        UPDATE operator_sign_ins AS used SET
            last_used_at = now(),
            expires_at = least(used.created_at + longest, now() + idle)
        WHERE used.id_hash = used_hash AND used.expires_at > now()
            AND used.last_used_at < now() - interval '1 minute';
        SELECT operator.id, operator.name, held.clinic_id, held.role
        FROM operator_sign_ins AS used
        JOIN operators AS operator ON operator.id = used.operator_id AND operator.is_active
        LEFT JOIN operator_roles AS held ON held.operator_id = operator.id
        WHERE used.id_hash = used_hash AND used.expires_at > now();
    END
""",
    ),
    (
        "pims_operator_clinics()",
        # A transaction may narrow itself to one clinic, as the API's do.
        """
    CREATE FUNCTION pims_operator_clinics() RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT DISTINCT clinic.id
        FROM operator_sign_ins AS used
        JOIN operators AS operator ON operator.id = used.operator_id AND operator.is_active
        JOIN operator_roles AS held ON held.operator_id = operator.id
        JOIN clinics AS clinic ON held.clinic_id IS NULL OR held.clinic_id = clinic.id
        WHERE used.id_hash = current_setting('pims.operator_sign_in', true)
            AND used.expires_at > now()
            AND clinic.id = coalesce(
                nullif(current_setting('pims.clinic_id', true), '')::uuid, clinic.id);
    END
""",
    ),
    (
        "pims_note_operator(uuid, uuid, text, uuid, jsonb, text)",
        """
    CREATE FUNCTION pims_note_operator(
        acting uuid, seen_clinic uuid, done text, seen_case uuid, facts jsonb, client text
    ) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        INSERT INTO operator_log (operator_id, clinic_id, action, case_id, details, address)
        VALUES (acting, seen_clinic, done, seen_case, facts, client);
    END
""",
    ),
    (
        "pims_console_access()",
        # Of the secrets' tables, only what says how a clinic is.
        """
    CREATE FUNCTION pims_console_access() RETURNS TABLE (name text, rights text)
    LANGUAGE sql IMMUTABLE SET search_path = '' AS $$ VALUES
        ('clinics', 'SELECT'),
        ('clinic_words', 'SELECT'),
        ('clinic_schedule_configs', 'SELECT'),
        ('case_sync_audits', 'SELECT'),
        ('pims_appointments', 'SELECT'),
        ('cases', 'SELECT'),
        ('case_events', 'SELECT'),
        ('sync_failures', 'SELECT'),
        ('reconciliation_holds', 'SELECT'),
        ('credential_access_log', 'SELECT'),
        ('schedule_skips', 'SELECT'),
        ('pims_credentials', 'SELECT (clinic_id, provider_type, status, updated_at)'),
        ('pims_sessions', 'SELECT (clinic_id, provider_type, expires_at, last_used_at)')
    $$
""",
    ),
    (
        "pims_grant_console()",
        # A list, not a join: the plans of our statements stay those of the owner.
        """
    CREATE FUNCTION pims_grant_console() RETURNS void
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
        PERFORM pims_reserve_functions();
    END
    $$
""",
    ),
)
"""Each with its signature, in the order in which they are made."""


def _reserve_function(more: str) -> str:
    return f"""
    CREATE OR REPLACE FUNCTION pims_reserve_functions() RETURNS void
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
        END LOOP;{more}
    END
    $$
"""  # noqa: S608 - fixed text


CONSOLE_CALLS = (
    "pims_operator_clinics()",
    "pims_note_operator(uuid, uuid, text, uuid, jsonb, text)",
)
"""What the console's role may call since revision 0027."""

FORMER_RESERVE_FUNCTION = _reserve_function("")
"""As revision 0000e makes it."""


def reserve_function(calls: Sequence[str]) -> str:
    """The same, and what the console's role may call."""
    grants = " ".join(f"GRANT EXECUTE ON FUNCTION {call} TO pims_console;" for call in calls)
    return _reserve_function(f"""
        IF to_regrole('pims_console') IS NOT NULL THEN
            {grants}
        END IF;""")
