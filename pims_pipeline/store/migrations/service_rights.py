"""What the service's role may do, as the text of the function that grants it.

Used by revisions whose tables differ and whose rule does not: everything may be changed, but
the logs may only be added to. Released revisions rely on it; a new rule is a new function.
"""

from collections.abc import Iterable

ROLE = "pims_service"
LOGS = {"case_events": "seq", "credential_access_log": "id"}
"""Each log, and the column whose sequence numbers its rows."""

VERSIONS = "pims_alembic_version"


def grant_function(changed: Iterable[str]) -> str:
    """The statement that makes or replaces ``pims_grant_service()``.

    Args:
        changed: The tables, besides the logs, that the service may change.
    """
    logs = ", ".join(LOGS)
    sequences = "\n".join(
        f"EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO {ROLE}', "
        f"pg_get_serial_sequence('{log}', '{column}')::regclass);"
        for log, column in LOGS.items()
    )
    return f"""
    CREATE OR REPLACE FUNCTION pims_grant_service() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        -- Wider rights, given by hand or by a host's defaults, end here.
        REVOKE ALL ON {logs}, {VERSIONS} FROM {ROLE};
        GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(changed)} TO {ROLE};
        GRANT SELECT, INSERT ON {logs} TO {ROLE};
        GRANT SELECT ON {VERSIONS} TO {ROLE};
        {sequences}
        IF NOT has_schema_privilege('{ROLE}', current_schema(), 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ROLE}', current_schema());
        END IF;
    END
    $$
    """


def granted(function: str, role: str) -> str:
    """The statement that calls a granting function if its role exists."""
    return (
        f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN PERFORM {function}(); END IF; END $$"
    )
