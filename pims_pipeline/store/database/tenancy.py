"""The API's and the console's access to the database, and a check of the API's role.

The database separates clinics by row-level security. The API sees one clinic per transaction, in
the role ``pims_api`` (migration 0000e); the console the clinics of an operator's sign-in, in the
role ``pims_console``, which the API's connection takes for it (migration 0027). A connection that
could see more is refused. The pipeline and the CLI work on all clinics, as the owner.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from pims_pipeline.domain.addresses.parsing import parse_database_address
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import (
    SIGN_IN_OPTION,
    address_of,
    schema_of,
    schema_prefix,
    transaction,
)
from pims_pipeline.store.tables.all import metadata

API_ROLE = "pims_api"
CONSOLE_ROLE = "pims_console"
SECRET_TABLES = ("pims_credentials", "pims_sessions", "clinic_api_keys")
_SECRET_COLUMNS = ("encrypted_data", "key_hash")
LOGIN_STATEMENT = f"CREATE ROLE pims_api_login LOGIN PASSWORD '…' IN ROLE {API_ROLE}"
"""Creates a login for the API on a server with logins of its own."""


CONSOLE_ROLE_STATEMENTS = (
    f"CREATE ROLE {CONSOLE_ROLE} NOLOGIN; ALTER ROLE {API_ROLE} NOINHERIT; "
    f"GRANT {CONSOLE_ROLE} TO {API_ROLE}; SELECT pims_grant_console();"
)
"""Makes the console's role, where the one who migrated could not."""

_GRANT_AGAIN = "take back what was given by hand (as the owner: SELECT {}pims_grant_api())"
_SECURE_AGAIN = "turn it on (as the owner: SELECT {}pims_secure_tables())"


class WrongApiRole(UserFacingError):
    """The API's connection may do more than the API should, or less than it must."""


@contextmanager
def clinic_transaction(engine: Engine, clinic_id: UUID) -> Iterator[Connection]:
    """A transaction, as ``transaction()`` gives it, in which the API sees one clinic's rows.

    Only the API's role is restricted to it; the setting ends with the transaction.

    Raises:
        DatabaseUnavailable: If the database cannot be reached, or the connection is lost.
    """
    with transaction(engine) as connection:
        enter_clinic(connection, clinic_id)
        yield connection


def enter_clinic(connection: Connection, clinic_id: UUID) -> None:
    """Let the API see this clinic's rows, and no other's, until the transaction ends."""
    # SET takes no parameters; UUID() makes sure that it is one.
    connection.exec_driver_sql(f"SET LOCAL pims.clinic_id = '{UUID(bytes=clinic_id.bytes)}'")


def as_operator(engine: Engine, id_hash: str) -> Engine:
    """The API's engine, whose transactions see the clinics of an operator's sign-in alone.

    They see no clinic if the sign-in has ended. Shares the connections of ``engine``.

    Args:
        engine: Connects as the API does.
        id_hash: The hash of the sign-in's id, as ``hash_of`` returns it.
    """
    return engine.execution_options(**{SIGN_IN_OPTION: bytes.fromhex(id_hash).hex()})


def has_console_role(engine: Engine) -> bool:
    """Whether the API's connection may take the console's role.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    may_take = text(
        "SELECT count(*) = 1 FROM pg_roles WHERE rolname = :role "
        "AND pg_has_role(session_user, oid, 'MEMBER')"
    )
    with transaction(engine) as connection:
        return bool(connection.scalar(may_take, {"role": CONSOLE_ROLE}))


def api_url(url: str) -> str:
    """The address at which the API's role itself logs in, without a password.

    For servers that trust every local client, as the embedded one does.
    """
    owners = parse_database_address(url)
    return replace(owners, user=API_ROLE, password=None).as_setting()


def let_api_log_in(engine: Engine) -> str:
    """Let the API's role log in on the embedded server, whose owner ``engine`` connects as.

    Does nothing the second time. Processes that do so at once queue.

    Returns:
        The address to connect to as that role.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    may_log_in = text("SELECT rolcanlogin FROM pg_roles WHERE rolname = :role")
    with transaction(engine) as connection:
        if not connection.scalar(may_log_in, {"role": API_ROLE}):
            # Roles belong to the whole server, and advisory locks to one database of it.
            connection.execute(text("LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE"))
            connection.execute(text(f"ALTER ROLE {API_ROLE} LOGIN"))
    return api_url(address_of(engine))


_RIGHTS_OF_THE_ROLE = text(
    """
    SELECT
        session_user AS name,
        bool_or(role.rolsuper) AS is_superuser,
        bool_or(role.rolbypassrls) AS bypasses_security,
        bool_or(EXISTS (
            SELECT FROM pg_class WHERE relowner = role.oid AND pg_class.oid = ANY (ours)
        )) AS owns_tables,
        bool_or(EXISTS (
            SELECT FROM unnest(secrets) AS secret
            WHERE has_table_privilege(role.oid, secret, 'DELETE, TRUNCATE')
                -- The console's role may see how a clinic's login is, and not the login.
                OR CASE role.rolname WHEN :console THEN EXISTS (
                    SELECT FROM pg_attribute AS secret_column
                    WHERE attrelid = secret AND attname = ANY (:secret_columns)
                        AND has_column_privilege(
                            role.oid, secret, attnum, 'SELECT, INSERT, UPDATE')
                ) ELSE has_any_column_privilege(role.oid, secret, 'SELECT, INSERT, UPDATE') END
        )) AS reaches_secrets,
        EXISTS (
            SELECT FROM unnest(ours) AS one_of_ours WHERE NOT row_security_active(one_of_ours)
        ) AS lacks_security,
        NOT EXISTS (
            SELECT FROM pg_roles
            WHERE rolname = :api AND pg_has_role(current_user, pg_roles.oid, 'USAGE')
        ) AS lacks_rights
    FROM pg_roles AS role, (
        -- By the catalog: a role that may not use the schema finds no table by its name.
        SELECT array_agg(pg_class.oid), array_agg(pg_class.oid) FILTER (
            WHERE relname = ANY (:secrets)
        )
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = :schema AND relname = ANY (:ours)
    ) AS tables (ours, secrets)
    -- What the connection may become, by SET ROLE or RESET ROLE, counts as well.
    WHERE pg_has_role(session_user, role.oid, 'MEMBER')
        OR pg_has_role(current_user, role.oid, 'MEMBER')
    GROUP BY ours
    """
)


def check_api_role(engine: Engine) -> None:
    """Make sure that the API's connection is restricted to one clinic, and reaches no secrets.

    The tables must be up to date.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        WrongApiRole: If the connection's role, or one that it may become, is a superuser,
            bypasses row-level security, owns a table or reaches a table of secrets; if a table
            is without row-level security; or if the role lacks the rights of ``pims_api``.
    """
    names = {
        "api": API_ROLE,
        "console": CONSOLE_ROLE,
        "secret_columns": list(_SECRET_COLUMNS),
        "schema": schema_of(engine),
        "ours": list(metadata.tables),
        "secrets": list(SECRET_TABLES),
    }
    with transaction(engine) as connection:
        found = connection.execute(_RIGHTS_OF_THE_ROLE, names).one()
    prefix = schema_prefix(engine)
    grant_again = _GRANT_AGAIN.format(prefix)
    another = f"give it a login of its own ({LOGIN_STATEMENT})"
    reasons = (
        (found.is_superuser, "is, or may become, a superuser", another),
        (found.bypasses_security, "bypasses row-level security, or may come to", another),
        (found.owns_tables, "owns tables, or may become their owner", another),
        (found.reaches_secrets, "reaches stored secrets", f"{another}, or {grant_again}"),
        (found.lacks_rights, f"has not the rights of {API_ROLE}", another),
        (
            found.lacks_security,
            "finds tables without row-level security",
            _SECURE_AGAIN.format(prefix),
        ),
    )
    for holds, reason, remedy in reasons:
        if holds:
            raise WrongApiRole(
                f"the API may not work as {found.name!r}: that role {reason}; {remedy}; "
                "PIMS_API_DATABASE_URL says what the API connects as"
            )
