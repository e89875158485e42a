"""Why the database refuses something, and what to do about it.

Conditions are recognized by SQLSTATE, not by message, which depends on the server's language. One
exception: libpq gives no SQLSTATE for a connection that is refused at its start. There, the phrases
of an English server, of PgBouncer and of Supabase's pooler are searched; an unrecognized message is
quoted, since it holds only names.

Add a condition to ``_CONDITIONS`` and to docs/runbook.md. Temporary ones (deadlocks, serialization,
lock timeouts) are not here: ``retries`` repeats them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import psycopg
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

_DATA_EXCEPTION = "22"
_UP_AND_AGAIN = "wait until it is up, then run this again"


@dataclass(frozen=True, slots=True)
class DatabaseCondition:
    """A reason for which the database refuses something.

    Attributes:
        what: A sentence without its full stop, without names of hosts, roles or tables.
        remedy: What an operator has to do about it.
        quotes: Whether the server's own sentence names nothing but roles and tables, and helps.
        passes: Whether the same transaction may succeed shortly after.
    """

    what: str
    remedy: str
    quotes: bool = False
    passes: bool = False


_DISK_FULL = DatabaseCondition(
    "the database's disk is full", "free space there, then run this again"
)
_READ_ONLY = DatabaseCondition(
    "the database is read-only (a standby, or set so)",
    "connect to the primary, or make it writable, then run this again",
)
_CONNECTIONS = DatabaseCondition(
    "the database has no connection left",
    "close other clients or raise its limit (max_connections, or the role's or database's "
    "CONNECTION LIMIT); PIMS_DATABASE_POOL_SIZE lowers what this process opens",
    passes=True,
)
_MEMORY = DatabaseCondition(
    "the database is out of memory", "give it more, or lower work_mem, then run this again"
)
_LIMIT = DatabaseCondition(
    "a limit set in the database is exceeded",
    "raise the limit that the server's log names (such as temp_file_limit), then run this again",
)
_RESTART = DatabaseCondition(
    "the database is being shut down or restarted", _UP_AND_AGAIN, passes=True
)
_STARTING = DatabaseCondition("the database is starting or stopping", _UP_AND_AGAIN, passes=True)
_CANCELLED = DatabaseCondition(
    "the database cancelled a statement: it took too long, or somebody cancelled it",
    "run this again; if it recurs, look for what keeps the database busy (pg_stat_activity)",
)
_IDLE = DatabaseCondition(
    "the database ended a transaction that waited for too long", "run this again, on less at once"
)
_PRIVILEGE = DatabaseCondition(
    "the database login lacks a right",
    "as the owner of the tables run SELECT pims_grant_service(), for the API's login "
    "SELECT pims_grant_api()",
    quotes=True,
)
_NOT_MIGRATED = DatabaseCondition(
    "a table or column is missing",
    "run `pims migrate`; if the tables are in another schema than public, set "
    "PIMS_DATABASE_SCHEMA to its name",
    quotes=True,
)
_PASSWORD = DatabaseCondition(
    "the database refused the user or the password", "correct them in the address"
)
_LOGIN = DatabaseCondition(
    "the database does not let this login in",
    "check the user in the address, pg_hba.conf, and whether sslmode=require is needed",
)
_NO_LOGIN = DatabaseCondition(
    "the database role in the address is not permitted to log in",
    "write a login's name there, or run ALTER ROLE … LOGIN",
)
_NO_ROLE = DatabaseCondition(
    "the database knows no such user", "create it, or correct the user in the address"
)
_NO_DATABASE = DatabaseCondition(
    "there is no such database", "create it, or correct its name in the address"
)
_ENCODING = DatabaseCondition(
    "the database cannot hold a character",
    "use a database with ENCODING 'UTF8' (CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8')",
)
_FILES = DatabaseCondition(
    "the database cannot read or write its files", "look at its disk and at its log"
)
_DAMAGED = DatabaseCondition(
    "the database reports damaged data", "restore it from a backup, or ask who runs it"
)
_POOLER = DatabaseCondition(
    "the connection pooler refused the connection",
    "check that the address names a user and database the pooler knows, and look at its log",
    quotes=True,
)
_POOLER_BUSY = DatabaseCondition(
    "the connection pooler has no connection free",
    "enlarge its pool, or lower PIMS_CLINICS_AT_ONCE, then run this again",
    passes=True,
)
_POOLER_STARTUP = DatabaseCondition(
    "the connection pooler does not take the address's options",
    "remove options from the address",
)
_POOLER_FULL = DatabaseCondition(
    "the connection pooler has no session left for another client",
    "enlarge its pool; only DAGSTER_POSTGRES_URL needs session mode: PIMS_DATABASE_URL may name "
    "transaction mode (Supabase: port 6543)",
    passes=True,
)
_UNTRUSTED = DatabaseCondition(
    "the database's TLS certificate is signed by no authority that sslrootcert names",
    "write sslrootcert=FILE with the certificate of the database's authority (Supabase: the "
    "database's settings have it)",
)
_OTHER_HOST = DatabaseCondition(
    "the database's TLS certificate is for another host",
    "write the host that it is for, or sslmode=verify-ca",
)
_NO_ROOTS = DatabaseCondition(
    "the file of TLS root certificates cannot be read",
    "write sslrootcert=FILE with its whole path, for a file that this process can read",
)
_CLIENT_CERTIFICATE = DatabaseCondition(
    "the TLS certificate or key of this client is missing, cannot be read, or is refused",
    "write sslcert=FILE and sslkey=FILE with whole paths; the key must be closed to others "
    "(chmod 600)",
)
_NO_TLS = DatabaseCondition(
    "the database offers no TLS", "turn it on there, or write sslmode=prefer"
)
_TLS_REQUIRED = DatabaseCondition("the database requires TLS", "write sslmode=require")
OLD_SERVER = DatabaseCondition(
    "the database server is older than PostgreSQL 15", "use PostgreSQL 15 or newer"
)
WRONG_ENCODING = DatabaseCondition("the database does not keep its text in UTF-8", _ENCODING.remedy)

_CONDITIONS: Mapping[str, DatabaseCondition] = MappingProxyType(
    {
        "08P01": _POOLER,
        "22P05": _ENCODING,
        "25006": _READ_ONLY,
        "25P03": _IDLE,
        "25P04": _IDLE,
        "28000": _LOGIN,
        "28P01": _PASSWORD,
        "3D000": _NO_DATABASE,
        "3F000": _NOT_MIGRATED,
        "42501": _PRIVILEGE,
        "42703": _NOT_MIGRATED,
        "42883": _NOT_MIGRATED,
        "42P01": _NOT_MIGRATED,
        "53000": _LIMIT,
        "53100": _DISK_FULL,
        "53200": _MEMORY,
        "53300": _CONNECTIONS,
        "53400": _LIMIT,
        "57014": _CANCELLED,
        "57P01": _RESTART,
        "57P02": _RESTART,
        "57P03": _STARTING,
        "57P04": _NO_DATABASE,
        "57P05": _IDLE,
        "58030": _FILES,
        "XX001": _DAMAGED,
        "XX002": _DAMAGED,
    }
)

# First match wins: more specific phrases come first.
_PHRASES: tuple[tuple[str, DatabaseCondition], ...] = (
    ("root certificate file", _NO_ROOTS),
    ("certificate verify failed", _UNTRUSTED),
    # Another authority of the same name, such as a former one of one's own.
    ("signature failure", _UNTRUSTED),
    ("does not match host name", _OTHER_HOST),
    ("requires a valid client certificate", _CLIENT_CERTIFICATE),
    ("certificate required", _CLIENT_CERTIFICATE),
    ("could not read certificate file", _CLIENT_CERTIFICATE),
    ("private key file", _CLIENT_CERTIFICATE),
    ("does not support ssl", _NO_TLS),
    ("ssl required", _TLS_REQUIRED),
    ("ssl connection is required", _TLS_REQUIRED),
    ("in session mode", _POOLER_FULL),
    ("unsupported startup parameter", _POOLER_STARTUP),
    ("query_wait_timeout", _POOLER_BUSY),
    ("max_client_conn", _POOLER_BUSY),
    ("max clients", _POOLER_BUSY),
    ("tenant or user not found", _POOLER),
    ("no such user", _POOLER),
    ("no such database", _POOLER),
    ("server login has been failing", _POOLER),
    ("pgbouncer cannot connect", _POOLER),
    ("client_login_timeout", _POOLER),
    ("password authentication failed", _PASSWORD),
    ("sasl authentication failed", _PASSWORD),
    ("no password supplied", _PASSWORD),
    ("no pg_hba.conf entry", _LOGIN),
    ("is not permitted to log in", _NO_LOGIN),
    ("too many clients already", _CONNECTIONS),
    ("remaining connection slots", _CONNECTIONS),
    ("too many connections for", _CONNECTIONS),
    ("the database system is", _STARTING),
    ("terminating connection due to administrator command", _RESTART),
    ("session is read-only", _READ_ONLY),
    ("server is in hot standby mode", _READ_ONLY),
    ("cannot set transaction read-write mode", _READ_ONLY),
)
_NO_SUCH_DATABASE = ('database "', "does not exist")
_NO_SUCH_ROLE = ('role "', "does not exist")


def condition_of(error: object) -> DatabaseCondition | None:
    """The condition behind an error; None when it is not known.

    Args:
        error: A driver's: psycopg's or psycopg2's.
    """
    state = sqlstate_of(error)
    if state is None:
        return _by_phrase(str(error))
    condition = _CONDITIONS.get(state)
    if condition is _POOLER:
        # Its one code for everything; it speaks English alone.
        return _by_phrase(quoted(error) or "") or condition
    # Our append-only logs, row-level security and applications' triggers refuse statements to
    # them with the same code as a missing right.
    if condition is _PRIVILEGE and _source(error) in {"exec_stmt_raise", "ExecWithCheckOptions"}:
        return None
    return condition


def sqlstate_of(error: object) -> str | None:
    """The error's SQLSTATE; None where the connection failed before there was one."""
    state: str | None = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state


def quoted(error: object) -> str | None:
    """The server's message, if it can hold no row's values and no text of an application."""
    said: Any = getattr(error, "diag", None)
    if said is None or _source(error) == "exec_stmt_raise":
        return None
    sentence: str | None = said.message_primary
    return sentence


def _source(error: object) -> str | None:
    source: str | None = getattr(getattr(error, "diag", None), "source_function", None)
    return source


def _by_phrase(text: str) -> DatabaseCondition | None:
    words = text.lower()
    found = next((condition for phrase, condition in _PHRASES if phrase in words), None)
    if found is not None:
        return found
    if all(part in words for part in _NO_SUCH_DATABASE):
        return _NO_DATABASE
    return _NO_ROLE if all(part in words for part in _NO_SUCH_ROLE) else None


def sentence(condition: DatabaseCondition, error: object = None) -> str:
    """One line for operators: what is wrong, its code, what to do."""
    details = [quoted(error) if condition.quotes else None, sqlstate_of(error)]
    shown = ", ".join(filter(None, details))
    return f"{condition.what}{f' ({shown})' if shown else ''}; {condition.remedy}"


def explain(error: BaseException) -> str | None:
    """The condition behind a driver's error that another library raised.

    For errors of Dagster's own storage, which we cannot catch where they arise.
    """
    each: BaseException | None = error
    while each is not None:
        driver = getattr(each, "orig", None) or each
        if type(driver).__module__.partition(".")[0] in {"psycopg", "psycopg2"}:
            condition = condition_of(driver)
            if condition is not None:
                whose = "Dagster's storage: " if "psycopg2" in type(driver).__module__ else ""
                return f"{whose}{sentence(condition, driver)}"
        each = each.__cause__ or each.__context__
    return None


def leave_rows_out(context: ExceptionContext) -> None:
    """Reword a server's error without its DETAIL and CONTEXT, which quote the failing row."""
    shown, original = context.sqlalchemy_exception, context.original_exception
    if not isinstance(shown, DBAPIError) or not isinstance(original, psycopg.Error):
        return
    said = original.diag
    if said.sqlstate is None:
        return
    # A data exception quotes the value in its very first sentence.
    quotes = said.sqlstate.startswith(_DATA_EXCEPTION)
    sentence = "unacceptable value" if quotes else said.message_primary
    place = ".".join(filter(None, (said.table_name, said.column_name, said.constraint_name)))
    words = f"{sentence} [{said.sqlstate}{f' {place}' if place else ''}]"
    original.args = (words,)
    shown.args = (f"({type(original).__name__}) {words}",)
