"""PostgreSQL addresses: parsed only if each part is unambiguous.

An address with a character that should be percent-encoded can be read in two ways: a piece of the
password may become the host, which messages show. Such an address is refused, and not repeated.

What may follow the question mark is in ``parameters``. How a connection is opened belongs
in ``store``.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote

from pims_pipeline.domain.addresses.parameters import EXAMPLE, BadParameter, understood
from pims_pipeline.domain.errors import UserFacingError

DEFAULT_SCHEMA = "public"
DAGSTER_SCHEMA = "dagster"
SCHEMA_NAME = (
    "the name of a schema: up to 63 lower-case letters, digits and underscores, no digit first; "
    f"not {DAGSTER_SCHEMA}, information_schema, or one that begins with pg_"
)
UNCLEAR = (
    "cannot be read without doubt; percent-encode every character of the user and the password "
    "that is no letter, digit, '-', '.', '_' or '~' (write '@' as %40, '/' as %2F, '#' as %23, "
    "':' as %3A, '%' as %25)"
)
PLACEHOLDER = (
    "has a placeholder such as [YOUR-PASSWORD], or a masked password; write the password in its "
    "place, without brackets"
)

MISPLACED = (
    "has ';', '&' or '=' in the database's name; write '?' before the first parameter and '&' "
    "between parameters (in a name, %3B, %26 and %3D)"
)
WRONG_PORT = "has no port from 1 to 65535 after the host's ':'; write it, or remove the ':'"

_PARAMETER_SIGNS = re.compile(r"[;&=]")
_PLACEHOLDER = re.compile(r"\[[^\]]*\]|<[^>]*>|\$?\{[^}]*\}|\*{3,}")
_NO_ADDRESSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "is written for JDBC": ("jdbc:",),
        "is in quotes, which are no part of it": ('"', "'", "`"),
        "begins with a command": ("psql ",),
        "is a list of parameters": ("host=", "hostaddr=", "user=", "dbname=", "port=", "service="),
        "is a web address, not the database's": ("http://", "https://"),
        "is for Prisma's own service": ("prisma:", "prisma+"),
    }
)
"""What is copied in place of an address, by its beginning."""
_ASSIGNMENT = re.compile(r"(?:export )?[A-Z][A-Z0-9_]*=")
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
_NO_OR_DIGITS = re.compile(r"[0-9]*")
_LARGEST_PORT = 65535
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,39}")
# Lower case only: PostgreSQL takes the length in bytes, and folds what is typed without quotes.
_OWN_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")


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
    _refuse_what_is_no_address(text)
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
    if _PLACEHOLDER.search(name) or _PLACEHOLDER.fullmatch(password):
        raise BadDatabaseUrl(PLACEHOLDER)
    hosts = _hosts(place)
    given = _parameters(found["parameters"] or "")
    others = [host for key, value in given if key == "host" for host in _hosts(value)]
    if hosts and others:
        raise BadDatabaseUrl("names hosts twice; write them before the database alone")
    database = found["database"]
    if database and _PARAMETER_SIGNS.search(database):
        raise BadDatabaseUrl(MISPLACED)
    if not (hosts or others or database):
        raise BadDatabaseUrl(f"names neither a host nor a database; write {EXAMPLE}")
    try:
        schema, parameters = understood([each for each in given if each[0] != "host"])
    except BadParameter as error:
        raise BadDatabaseUrl(error.problem) from None
    return DatabaseAddress(
        user=_decoded(name) if at and name else None,
        password=_decoded(password) if colon else None,
        hosts=_with_ports(hosts or others),
        database=_decoded(database) if database else None,
        named_schema=schema,
        parameters=MappingProxyType(parameters),
    )


def _refuse_what_is_no_address(text: str) -> None:
    for problem, beginnings in _NO_ADDRESSES.items():
        if text.lower().startswith(beginnings):
            raise BadDatabaseUrl(f"{problem}; write {EXAMPLE}")
    if _ASSIGNMENT.match(text):
        raise BadDatabaseUrl(f"begins with the name of a variable; write {EXAMPLE}")


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
    if not known:
        raise BadDatabaseUrl(UNCLEAR)
    if colon and not (_PORT.fullmatch(port) and 0 < int(port) <= _LARGEST_PORT):
        # Other characters may be a piece of an address that was read wrongly.
        raise BadDatabaseUrl(WRONG_PORT if _NO_OR_DIGITS.fullmatch(port) else UNCLEAR)
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
