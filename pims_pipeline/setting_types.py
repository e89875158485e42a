"""What the value of an environment variable may be: the types of the fields of ``Settings``.

Add a type here when a variable needs a check that pydantic lacks. The variables, their defaults and
their descriptions belong in ``settings``. No error here repeats a value: it may be a secret.
"""

import base64
import binascii
import ipaddress
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from pims_pipeline.domain.addresses.parsing import is_schema_name, parse_database_address

_KEY_BYTES = 32
_SHORTEST_TOKEN = 16
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?")


def key_bytes(key: SecretStr) -> bytes:
    """The bytes of an encryption key in base64.

    Raises:
        ValueError: If it is not base64 of 32 bytes.
    """
    try:
        decoded = base64.b64decode(key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        # The decoder's own message would name characters of the key.
        raise ValueError("not base64") from None
    if len(decoded) != _KEY_BYTES:
        raise ValueError("not 32 bytes long")
    return decoded


def _checked_key(key: SecretStr) -> SecretStr:
    stripped = SecretStr(key.get_secret_value().strip())
    key_bytes(stripped)
    return stripped


def _checked_database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value().strip()
    parse_database_address(text)
    return SecretStr(text)


def _checked_schema(name: str) -> str:
    stripped = name.strip()
    if not is_schema_name(stripped):
        raise ValueError("not the name of a schema for our tables")
    return stripped


def _checked_web_address(url: str) -> str:
    url = url.strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not a web address")
    parts.port  # noqa: B018 - raises ValueError for an invalid port
    user, _, host_and_port = parts.netloc.rpartition("@")
    # A further "@" belongs to a user or password that was not percent-encoded.
    if "@" in user or "@" in parts.path or not _HOST_AND_PORT.fullmatch(host_and_port):
        raise ValueError("not a web address")
    return url


def _checked_public_address(url: str) -> str:
    if "@" in url:
        raise ValueError("not a web address without a user")
    return _checked_web_address(url)


def _checked_secret_address(url: SecretStr) -> SecretStr:
    text = url.get_secret_value().strip()
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a web address")
    parts.port  # noqa: B018 - raises ValueError for an invalid port
    return SecretStr(text)


def _checked_network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _checked_origin(text: str) -> str:
    origin = _checked_web_address(text)
    parts = urlsplit(origin)
    if parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError("not a web origin")
    return origin.rstrip("/")


def _checked_header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError("not the name of a header")
    return name


def _checked_host(text: str) -> str:
    if _HOST.fullmatch(text.lower()) is None:
        raise ValueError("not the name of a host")
    return text.lower()


def _token(*prefixes: str) -> AfterValidator:
    """The check of a token: one word, which starts with one of ``prefixes``."""

    def checked(token: SecretStr) -> SecretStr:
        text = token.get_secret_value().strip()
        if len(text) < _SHORTEST_TOKEN or not text.isascii() or len(text.split()) != 1:
            raise ValueError("not a token")
        if prefixes and not text.startswith(prefixes):
            raise ValueError("not a token of that service")
        return SecretStr(text)

    return AfterValidator(checked)


def _split_at_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _iso_date(value: object) -> object:
    """Strings as ISO dates only: pydantic would read 20250101 as seconds since 1970."""
    return date.fromisoformat(value.strip()) if isinstance(value, str) else value


def _not_in_the_future(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("in the future")
    return day


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


DatabaseUrl = Annotated[SecretStr, AfterValidator(_checked_database_url)]
SchemaName = Annotated[str, AfterValidator(_checked_schema)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_checked_key)]
EncryptionKeys = Annotated[tuple[EncryptionKey, ...], NoDecode, BeforeValidator(_split_at_commas)]

WebAddress = Annotated[str, AfterValidator(_checked_web_address)]
PublicWebAddress = Annotated[str, AfterValidator(_checked_public_address)]
"""A web address without a user or password."""
SecretWebAddress = Annotated[SecretStr, AfterValidator(_checked_secret_address)]
"""A web address whose path or query is a secret."""

HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_host)], ...],
    NoDecode,
    BeforeValidator(_split_at_commas),
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_network)], ...],
    NoDecode,
    BeforeValidator(_split_at_commas),
]
HeaderName = Annotated[str, AfterValidator(_checked_header)]
WebOrigins = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_origin)], ...],
    NoDecode,
    BeforeValidator(_split_at_commas),
]

Token = Annotated[SecretStr, _token()]
SlackBotToken = Annotated[SecretStr, _token("xoxb-")]
AxiomToken = Annotated[SecretStr, _token("xaat-")]

AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
PastDate = Annotated[date, BeforeValidator(_iso_date), AfterValidator(_not_in_the_future)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]
LogFormat = Annotated[Literal["console", "json"], BeforeValidator(_lower)]
