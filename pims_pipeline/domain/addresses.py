"""PostgreSQL addresses: parsed only if each part is unambiguous.

An address with a character that should be percent-encoded can be read in two ways: a piece of the
password may become the host, which messages show. Such an address is refused, and not repeated.

Add a parameter that other programs (Prisma, JDBC, node-pg) write to the tables below. How a
connection is opened belongs in ``store``.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote

from pims_pipeline.domain.errors import UserFacingError

DEFAULT_SCHEMA = "public"
DAGSTER_SCHEMA = "dagster"
SCHEMA_NAME = (
    "the name of a schema: up to 63 lower-case letters, digits and underscores, no digit first; "
    f"not {DAGSTER_SCHEMA}, information_schema, or one that begins with pg_"
)
EXAMPLE = "postgresql://user:password@host:5432/database"
UNCLEAR = (
    "cannot be read without doubt; percent-encode every character of the user and the password "
    "that is no letter, digit, '-', '.', '_' or '~' (write '@' as %40, '/' as %2F, '#' as %23, "
    "':' as %3A, '%' as %25)"
)

_SCHEME = re.compile(r"postgres(ql)?(\+[a-z0-9_]{1,20})?")
# An "@", "/", "?" or "#" of a password that was not encoded shows up in one of the places where
# these do not allow it, because an "@" follows it.
_PARTS = re.compile(
    r"(?P<authority>[^/?#]*)(?:/(?P<database>[^/?#@]*))?(?:\?(?P<parameters>[^?#@]*))?"
)
_BAD_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_IPV6 = re.compile(r"\[(?P<address>[^\[\]]+)\](?P<rest>.*)")
_PORT = re.compile(r"[0-9]{1,5}")
_LARGEST_PORT = 65535
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,39}")
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
# Lower case only: PostgreSQL takes the length in bytes, and folds what is typed without quotes.
_OWN_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search[_-]path=(?P<path>(?:\\.|\S)*)\s*")
_ENCODINGS = frozenset({"utf8", "utf-8", "unicode"})

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
        "pgbouncer",
        "prepared_statement_cache_size",
        "prepareThreshold",
        "preparedStatementCacheQueries",
        "statement_cache_size",
        "supa",
        "uselibpqcompat",
        "workaround",
    }
)
"""Hints to other programs. They are ignored: we work through a transaction-mode pooler anyway."""

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("user", "username", "password"), f"write it before the host, as in {EXAMPLE}"
        ),
        **dict.fromkeys(("dbname", "database"), f"write it after the host, as in {EXAMPLE}"),
        "port": f"write it after the host, as in {EXAMPLE}",
        "connection_limit": "remove it; PIMS_CLINICS_AT_ONCE decides how many connections are used",
        "pool_timeout": "remove it; how long to wait for a connection is fixed",
        "socket_timeout": "remove it, or write tcp_user_timeout in milliseconds",
        "loginTimeout": "write connect_timeout, in seconds",
        "ApplicationName": "write application_name",
        "ssl": "write sslmode=require",
        "sslaccept": "write sslmode=verify-full, or sslmode=require to accept any certificate",
        "sslidentity": "write sslcert and sslkey",
        "sslpassword": "remove it, and use a key file without a password",
        "service": f"write the address out, as in {EXAMPLE}",
        "replication": "remove it",
    }
)
_OF_OTHERS: Mapping[str, str] = MappingProxyType(
    {"schema": "Prisma", "currentSchema": "JDBC", "search_path": "others"}
)
"""How each of them names the schema of the tables."""

_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
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
_READING_ONLY = frozenset({"read-only", "standby"})


class BadDatabaseUrl(UserFacingError, ValueError):
    """The text is not a PostgreSQL address. The text is never shown: it may hold a password.

    Attributes:
        problem: What is wrong, worded to follow the name of the variable that holds the address.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the database URL {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """A PostgreSQL address, each part decoded.

    Attributes:
        hosts: Names, IP addresses or directories of sockets, each with its port; tried in this
            order. Empty for the default socket.
        named_schema: The schema of the tables, if the address names one.
        parameters: Further parameters for the client library.
    """

    user: str | None
    password: str | None = field(repr=False)
    hosts: tuple[tuple[str, int | None], ...]
    database: str | None
    named_schema: str | None
    parameters: Mapping[str, str]

    @property
    def schema(self) -> str:
        """The schema of the tables."""
        return self.named_schema or DEFAULT_SCHEMA

    def as_setting(self) -> str:
        """The address as ``parse_database_address`` reads it; carries the password."""
        if self.named_schema is None:
            return self.as_text("postgresql")
        parameters = {**self.parameters, "schema": self.named_schema}
        return replace(self, parameters=parameters).as_text("postgresql")

    def as_text(self, scheme: str, *, options: Iterable[str] = ()) -> str:
        """The address as drivers read it, without the schema; carries the password.

        Args:
            scheme: Such as ``postgresql+psycopg``.
            options: Further settings for the session, as on a server's command line.
        """
        user = "" if self.user is None else quote(self.user, safe="")
        if self.password is not None:
            user = f"{user}:{quote(self.password, safe='')}"
        parameters = list(self.parameters.items())
        wanted = " ".join(filter(None, (self.parameters.get("options"), *options)))
        if wanted:
            parameters = [each for each in parameters if each[0] != "options"]
            parameters.append(("options", wanted))
        hosts = [_host_text(host, port) for host, port in self.hosts]
        plain = len(hosts) == 1 and not hosts[0].startswith("/")
        if not plain:
            parameters = [*(("host", host) for host in hosts), *parameters]
        place = hosts[0] if plain else ""
        database = "" if self.database is None else f"/{quote(self.database, safe='')}"
        # Not every driver reads "+" as a space.
        query = "&".join(f"{name}={quote(value, safe='/:')}" for name, value in parameters)
        return (
            f"{scheme}://{f'{user}@' if user else ''}{place}"
            f"{database or ('/' if query else '')}{f'?{query}' if query else ''}"
        )


def _host_text(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def parse_database_address(text: str) -> DatabaseAddress:
    """The parts of ``text``, such as ``postgresql://user:password@host:5432/database``.

    Raises:
        BadDatabaseUrl: If it is not a PostgreSQL address, is ambiguous, or has a parameter that
            is not supported.
    """
    text = text.strip()
    if text.lower().startswith("jdbc:"):
        raise BadDatabaseUrl(f"is written for JDBC; write {EXAMPLE}")
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme.lower()):
        raise BadDatabaseUrl(f"is not an address of PostgreSQL; write {EXAMPLE}")
    found = _PARTS.fullmatch(rest)
    if found is None or _has_gaps(rest) or _BAD_ENCODING.search(rest):
        raise BadDatabaseUrl(UNCLEAR)
    user, at, place = found["authority"].rpartition("@")
    if "@" in user:
        raise BadDatabaseUrl(UNCLEAR)
    name, colon, password = user.partition(":")
    hosts = _hosts(place)
    given = _parameters(found["parameters"] or "")
    others = [host for key, value in given if key == "host" for host in _hosts(value)]
    if hosts and others:
        raise BadDatabaseUrl("names hosts twice; write them before the database alone")
    database = found["database"]
    if not (hosts or others or database):
        raise BadDatabaseUrl(f"names neither a host nor a database; write {EXAMPLE}")
    schema, parameters = _understood([each for each in given if each[0] != "host"])
    return DatabaseAddress(
        user=_decoded(name) if at and name else None,
        password=_decoded(password) if colon else None,
        hosts=_with_ports(hosts or others),
        database=_decoded(database) if database else None,
        named_schema=schema,
        parameters=MappingProxyType(parameters),
    )


def is_schema_name(text: str) -> bool:
    """Whether a schema of that name can hold our tables. See ``SCHEMA_NAME``."""
    taken = {DAGSTER_SCHEMA, "information_schema"}
    return _OWN_SCHEMA.fullmatch(text) is not None and text not in taken


def in_schema(text: str, schema: str | None) -> str:
    """The address ``text`` with the schema of the tables.

    Args:
        text: As for ``parse_database_address``.
        schema: None to keep the one that the address names.

    Raises:
        BadDatabaseUrl: If the address names another one, or is none.
    """
    address = parse_database_address(text)
    if schema is None or schema == address.named_schema:
        return text
    if address.named_schema is not None:
        raise BadDatabaseUrl("names another schema; write the schema in one place")
    return replace(address, named_schema=schema).as_setting()


def _has_gaps(text: str) -> bool:
    """Whether it holds spaces or invisible characters."""
    return any(each.isspace() or unicodedata.category(each)[0] == "C" for each in text)


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        # The message of this error would quote a piece of the text.
        decoded = "\0"
    if "\0" in decoded:
        raise BadDatabaseUrl(UNCLEAR)
    return decoded


def _hosts(text: str) -> list[tuple[str, int | None]]:
    return [_host(each) for each in text.split(",")] if text else []


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):
        return text, None
    bracketed = _IPV6.fullmatch(text)
    if bracketed is not None:
        host, rest = bracketed["address"], bracketed["rest"]
        colon, port = rest[:1], rest[1:]
        known = _is_ipv6(host) and colon in {"", ":"}
    else:
        host, colon, port = text.partition(":")
        known = _HOST.fullmatch(host) is not None
    if not known or (colon and not (_PORT.fullmatch(port) and 0 < int(port) <= _LARGEST_PORT)):
        raise BadDatabaseUrl(UNCLEAR)
    return host, int(port) if colon else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _with_ports(hosts: list[tuple[str, int | None]]) -> tuple[tuple[str, int | None], ...]:
    """Drivers require a port for each of several hosts, or for none."""
    if len(hosts) < 2 or all(port is None for _, port in hosts):  # noqa: PLR2004 - several
        return tuple(hosts)
    return tuple((host, port or 5432) for host, port in hosts)


def _parameters(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    given = parse_qsl(text, keep_blank_values=True)
    names = [name for name, _ in given]
    # A piece without "=" is no parameter, but perhaps part of a password.
    if text.count("&") + 1 != len(given) or not all(
        "=" in each and _NAME.fullmatch(each.partition("=")[0]) for each in text.split("&")
    ):
        raise BadDatabaseUrl(UNCLEAR)
    for name in names:
        if name != "host" and names.count(name) > 1:
            raise BadDatabaseUrl(f"has the parameter {name} twice; write it once")
    if any("\0" in value or "\ufffd" in value for _, value in given):
        raise BadDatabaseUrl(UNCLEAR)
    return given


def _understood(given: list[tuple[str, str]]) -> tuple[str | None, dict[str, str]]:
    """The schema, if one is named, and the parameters for the client library."""
    schema: str | None = None
    kept: dict[str, str] = {}
    for name, value in given:
        if name in _NOT_NEEDED:
            continue
        if name in _OF_OTHERS:
            schema = _schema(name, value)
        elif name == "options":
            schema, rest = _options(value, schema)
            if rest:
                kept[name] = rest
        elif name in {"client_encoding", "encoding"}:
            if value.lower() not in _ENCODINGS:
                raise BadDatabaseUrl(f"has another {name} than utf8; remove it")
        else:
            kept[name] = _passed_on(name, value)
    return schema, kept


def _options(value: str, schema: str | None) -> tuple[str | None, str]:
    """The schema that the server options name, and the remaining options."""
    for found in _SEARCH_PATH.finditer(value):
        path = found["path"].replace("\\", "").partition(",")[0].strip("\"'")
        schema = _schema("options", path)
    return schema, _SEARCH_PATH.sub("", value).strip()


def _schema(name: str, value: str) -> str:
    if not _SCHEMA.fullmatch(value):
        raise BadDatabaseUrl(f"has no schema's name in its parameter {name}; write schema=NAME")
    return value


def _passed_on(name: str, value: str) -> str:
    if name in _REFUSED:
        raise BadDatabaseUrl(f"has the parameter {name}; {_REFUSED[name]}")
    if name not in _PASSED_ON:
        raise BadDatabaseUrl(f"has the parameter {name}, which is not one of PostgreSQL; remove it")
    allowed = _CHOICES.get(name)
    if allowed is not None and value not in allowed:
        raise BadDatabaseUrl(f"has an unknown {name}; write one of {', '.join(allowed)}")
    if name == "target_session_attrs" and value in _READING_ONLY:
        raise BadDatabaseUrl("asks for a server that cannot be written to; write primary")
    return value
