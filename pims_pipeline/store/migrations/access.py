"""Which tables the program's roles may use, as revisions change it.

``pims_access()`` is extended from what it is when a revision runs, so that no revision needs to
know the tables of others. What its rows mean is written where it is first made
(``0000e_access.py``).
"""

from alembic import op

TableAccess = tuple[str, str, str, str]
"""The table, its column of the clinic, the service's rights, and the API's."""


def grant_access(*tables: TableAccess) -> None:
    """Let the roles use new tables, with row-level security as the other tables have it."""
    added = "".join(
        f" UNION ALL SELECT '{table}', '{column}', '{service}', '{api}'"
        for table, column, service, api in tables
    )
    _replace_access(f"SELECT * FROM pims_access(){added}")  # noqa: S608 - fixed names
    op.execute("SELECT pims_secure_tables()")
    for role, function in (("pims_service", "service"), ("pims_api", "api")):
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN "
            f"PERFORM pims_grant_{function}(); END IF; END $$"
        )


def forget_access(*tables: str) -> None:
    """Forget tables that are about to be dropped."""
    names = ", ".join(f"'{table}'" for table in tables)
    _replace_access(f"SELECT * FROM pims_access() WHERE name NOT IN ({names})")  # noqa: S608 - fixed names


def _replace_access(rows: str) -> None:
    op.execute(
        f"""
        DO $do$
        DECLARE
            rows text;
        BEGIN
            SELECT string_agg(
                format('(%L, %L, %L, %L)', name, clinic_column, service_rights, api_rights), ', ')
            INTO rows
            FROM ({rows}) AS access;
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pims_access() '
                'RETURNS TABLE (name text, clinic_column text, service_rights text, '
                'api_rights text) LANGUAGE sql IMMUTABLE SET search_path = '''' AS %L',
                'VALUES ' || rows);
        END
        $do$
        """  # noqa: S608 - fixed names
    )
