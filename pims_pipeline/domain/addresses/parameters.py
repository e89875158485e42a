"""The parameters of a PostgreSQL address: passed on, understood, ignored, or refused by name.

People copy addresses that are written for other programs. A parameter that changes what a program
does must not be dropped in silence, so each has its place in one of the tables here. Add one that
other programs (Prisma, JDBC, node-pg, pgx, asyncpg, Rails) write to the table that fits.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType

EXAMPLE = "postgresql://user:password@host:5432/database"

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search[_-]path=(?P<path>(?:\\.|\S)*)\s*")
_UTF8 = frozenset({"utf8", "utf-8", "utf8mb4", "unicode"})
_ENCODINGS = frozenset({"client_encoding", "encoding", "charset", "characterEncoding"})
_SCHEMA_NAMES = frozenset({"schema", "currentSchema", "search_path"})
"""How Prisma, JDBC and others name the schema of the tables."""

_PASSED_ON = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "gsslib",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "passfile",
        "require_auth",
        "requirepeer",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
    }
)
"""Parameters that the client libraries of both drivers understand."""

_NOT_NEEDED = frozenset(
    {
        "binaryTransfer",
        "binary_parameters",
        "default_query_exec_mode",
        "description_cache_capacity",
        "pgbouncer",
        "prepare",
        "prepareThreshold",
        "preparedStatementCacheQueries",
        "preparedStatementCacheSizeMiB",
        "prepared_statement_cache_size",
        "prepared_statements",
        "reWriteBatchedInserts",
        "statement_cache_capacity",
        "statement_cache_mode",
        "statement_cache_size",
        "stringtype",
        "supa",
        "tcpKeepAlive",
        "uselibpqcompat",
        "workaround",
    }
)
"""Hints to other programs. They are ignored: we work through a transaction-mode pooler anyway."""

_BEFORE_HOST = f"write it before the host, as in {EXAMPLE}"
_AFTER_HOST = f"write it after the host, as in {EXAMPLE}"
_POOL = "remove it; PIMS_DATABASE_POOL_SIZE is how many connections a process opens"
_LIFETIME = "remove it; connections are opened again when they are lost"
_WAIT = "remove it; how long to wait for a connection is fixed"
_SET = "remove it; each transaction sets it, whatever the address says"
_SOCKET = "remove it, or write tcp_user_timeout in milliseconds"
_CONNECT = "write connect_timeout, in seconds"

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("user", "username", "password"), _BEFORE_HOST),
        **dict.fromkeys(("dbname", "database", "port"), _AFTER_HOST),
        **dict.fromkeys(
            (
                "connection_limit",
                "max",
                "max_connections",
                "min",
                "pool",
                "pool_max_conns",
                "pool_min_conns",
                "pool_size",
            ),
            _POOL,
        ),
        **dict.fromkeys(
            (
                "conn_max_age",
                "idle_timeout",
                "max_connection_lifetime",
                "max_idle_connection_lifetime",
                "max_lifetime",
                "pool_max_conn_idle_time",
                "pool_max_conn_lifetime",
            ),
            _LIFETIME,
        ),
        "pool_timeout": _WAIT,
        **dict.fromkeys(("command_timeout", "socketTimeout", "socket_timeout"), _SOCKET),
        **dict.fromkeys(("connectTimeout", "connection_timeout", "loginTimeout"), _CONNECT),
        **dict.fromkeys(
            (
                "DateStyle",
                "IntervalStyle",
                "TimeZone",
                "datestyle",
                "default_transaction_isolation",
                "default_transaction_read_only",
                "idle_in_transaction_session_timeout",
                "intervalstyle",
                "lock_timeout",
                "statement_timeout",
                "timezone",
            ),
            _SET,
        ),
        "ApplicationName": "write application_name",
        "gssEncMode": "write gssencmode",
        "ssl": "write sslmode=require",
        "sslaccept": "write sslmode=verify-full, or sslmode=require to accept any certificate",
        "sslfactory": "write sslmode=verify-full, or sslmode=require to accept any certificate",
        "sslidentity": "write sslcert and sslkey",
        "sslpassword": "remove it, and use a key file without a password",
        "targetServerType": "write target_session_attrs=primary",
        "service": f"write the address out, as in {EXAMPLE}",
        "replication": "remove it",
    }
)
KNOWN_PARAMETERS = frozenset(
    {"options", *_PASSED_ON, *_NOT_NEEDED, *_REFUSED, *_SCHEMA_NAMES, *_ENCODINGS}
)
"""All that have a place in a table; any other is refused as not one of PostgreSQL."""

_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "channel_binding": ("disable", "prefer", "require"),
        "gssencmode": ("disable", "prefer", "require"),
        "load_balance_hosts": ("disable", "random"),
        "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "target_session_attrs": (
            "any",
            "read-write",
            "primary",
            "prefer-standby",
            "read-only",
            "standby",
        ),
    }
)
_NUMBERS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        # Zero waits for ever.
        "connect_timeout": (1, 300),
        "keepalives": (0, 1),
        "keepalives_count": (0, 1_000),
        "keepalives_idle": (0, 86_400),
        "keepalives_interval": (0, 86_400),
        "tcp_user_timeout": (0, 86_400_000),
    }
)
"""The least and the greatest value of each parameter that is a whole number."""
_DIGITS = re.compile(r"[0-9]{1,10}")
_READING_ONLY = frozenset({"read-only", "standby"})
_FILES = ("passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert")
_SYSTEM_ROOTS = "system"


class BadParameter(ValueError):
    """A parameter cannot be used. Its value is never shown: it may be a piece of a password.

    Attributes:
        problem: What is wrong, worded to follow the name of the variable that holds the address.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


def understood(given: Sequence[tuple[str, str]]) -> tuple[str | None, dict[str, str]]:
    """The schema of the tables, if one is named, and the parameters for the client library.

    ``[("pgbouncer", "true"), ("schema", "pims"), ("sslmode", "require")]`` gives
    ``("pims", {"sslmode": "require"})``.

    Raises:
        BadParameter: If one cannot be used.
    """
    schema: str | None = None
    kept: dict[str, str] = {}
    for name, value in given:
        if name in _NOT_NEEDED:
            continue
        if name in _SCHEMA_NAMES:
            schema = _only(schema, _schema(name, value), name)
        elif name == "options":
            schema, rest = _options(value, schema)
            if rest:
                kept[name] = rest
        elif name in _ENCODINGS:
            if value.lower() not in _UTF8:
                raise BadParameter(f"has another {name} than utf8; remove it")
        else:
            kept[name] = _passed_on(name, value)
    _check_files(kept)
    return schema, kept


def _options(value: str, schema: str | None) -> tuple[str | None, str]:
    """The schema that the server options name, and the remaining options."""
    for found in _SEARCH_PATH.finditer(value):
        path = found["path"].replace("\\", "").partition(",")[0].strip("\"'")
        schema = _only(schema, _schema("options", path), "options")
    return schema, _SEARCH_PATH.sub("", value).strip()


def _schema(name: str, value: str) -> str:
    if not _SCHEMA.fullmatch(value):
        raise BadParameter(f"has no schema's name in its parameter {name}; write schema=NAME")
    return value


def _only(before: str | None, schema: str, name: str) -> str:
    """The schema, if none or the same was named before."""
    if before not in {None, schema}:
        raise BadParameter(f"names another schema in its parameter {name}; write schema=NAME alone")
    return schema


def _passed_on(name: str, value: str) -> str:
    if name in _REFUSED:
        raise BadParameter(f"has the parameter {name}; {_REFUSED[name]}")
    if name not in _PASSED_ON:
        close = get_close_matches(name, sorted(KNOWN_PARAMETERS - _REFUSED.keys()), n=1)
        meant = f"write {close[0]}, or remove it" if close else "remove it"
        raise BadParameter(f"has the parameter {name}, which is not one of PostgreSQL; {meant}")
    if (name, value) == ("sslmode", "no-verify"):
        raise BadParameter("has sslmode=no-verify; write sslmode=require, which means the same")
    allowed = _CHOICES.get(name)
    if allowed is not None and value not in allowed:
        raise BadParameter(f"has an unknown {name}; write one of {', '.join(allowed)}")
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        if not (_DIGITS.fullmatch(value) and least <= int(value) <= most):
            raise BadParameter(f"has a wrong {name}; write a whole number from {least} to {most}")
    if name == "target_session_attrs" and value in _READING_ONLY:
        raise BadParameter("asks for a server that cannot be written to; write primary")
    return value


def _check_files(kept: Mapping[str, str]) -> None:
    """Refuse files that the client library would look for in vain, or for something else."""
    for name in _FILES:
        if kept.get(name, "").startswith("~"):
            raise BadParameter(f"has a {name} that begins with ~; write the whole path")
    if kept.get("sslrootcert") == _SYSTEM_ROOTS and kept.get("sslmode") not in {
        None,
        "verify-full",
    }:
        raise BadParameter("has sslrootcert=system; write sslmode=verify-full with it")
    if ("sslcert" in kept) != ("sslkey" in kept):
        raise BadParameter(
            "has one of sslcert and sslkey; write both, or sslrootcert for the certificate of the "
            "database's authority (Prisma names that sslcert)"
        )
