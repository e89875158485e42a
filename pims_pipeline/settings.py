"""Every environment variable the pipeline reads, checked once at start-up.

Only the composition roots (``definitions`` and ``cli``) call ``load_settings``; lower
floors receive plain values. Nothing is read from files, and nothing is done here with the
values: no directory is made, no key is generated, no connection is opened.

Each field's description is what its value must be; it ends up in the error a wrong value
gives and is explained to people in ``docs/settings.md``.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pims_pipeline.domain.addresses import (
    DEFAULT_SCHEMA,
    EXAMPLE,
    BadDatabaseUrl,
    parse_database_address,
)

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogFormat = Literal["console", "json"]

_KEY_BYTES = 32
_SHORTEST_TOKEN = 16
_KEY_COMMAND = "openssl rand -base64 32"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_DAGSTER_UI_URL = "http://127.0.0.1:3000"
"""Where ``pims up`` serves them unless told otherwise."""
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?")
_DAGSTER_SCHEME = "postgresql+psycopg2"
"""Under SQLAlchemy 2.1 a bare ``postgresql://`` means psycopg 3, on which Dagster's storage
fails."""


class SettingsError(Exception):
    """The environment holds wrong values.

    Attributes:
        problems: One sentence per wrong variable, naming it and what it must be. No
            variable's value is repeated: a secret pasted into the wrong one stays secret.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def _key_bytes(text: str) -> bytes:
    """The key that ``text`` spells.

    Raises:
        ValueError: If it is not base64 of 32 bytes.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # The decoder's own message would name characters of the key.
        raise ValueError("not base64") from None
    if len(key) != _KEY_BYTES:
        raise ValueError("not 32 bytes long")
    return key


def _checked_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    _key_bytes(text)
    return SecretStr(text)


def _checked_database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value().strip()
    parse_database_address(text)
    return SecretStr(text)


def _checked_web_address(url: str) -> str:
    url = url.strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not a web address")
    parts.port  # noqa: B018 - raises ValueError when it is no port
    user, _, place = parts.netloc.rpartition("@")
    # Whatever else has an "@" begins with a user or password that was not percent-encoded.
    if "@" in user or "@" in parts.path or not _PLACE.fullmatch(place):
        raise ValueError("not a web address")
    return url


def _checked_public_address(url: str) -> str:
    if "@" in url:
        raise ValueError("not a web address without a user")
    return _checked_web_address(url)


def _checked_secret_address(url: SecretStr) -> SecretStr:
    """A web address whose path or query is a secret."""
    text = url.get_secret_value().strip()
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a web address")
    parts.port  # noqa: B018 - raises ValueError when it is no port
    return SecretStr(text)


def _checked_network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _checked_origin(text: str) -> str:
    origin = _checked_web_address(text)
    parts = urlsplit(origin)
    if parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError("not a web origin")
    return origin.rstrip("/")


def _checked_host(text: str) -> str:
    if _HOST.fullmatch(text.lower()) is None:
        raise ValueError("not the name of a host")
    return text.lower()


def _token(*prefixes: str) -> AfterValidator:
    """The check of a token: one word, which begins with one of ``prefixes``."""

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


def _plain_date(value: object) -> object:
    """Strings as ISO dates only: pydantic would take 20250101 for seconds since 1970."""
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


def default_partition_start(today: date) -> date:
    """The first of January of the year before ``today``."""
    return date(today.year - 1, 1, 1)


_Key = Annotated[SecretStr, AfterValidator(_checked_key)]
_WebAddress = Annotated[str, AfterValidator(_checked_web_address)]
_PublicAddress = Annotated[str, AfterValidator(_checked_public_address)]
_DatabaseUrl = Annotated[SecretStr, AfterValidator(_checked_database_url)]
_DATABASE_MEANING = f"a PostgreSQL address such as {EXAMPLE}"
_KEY_MEANING = f"32 random bytes in base64; make one with: {_KEY_COMMAND}"


class Settings(BaseSettings):
    """What the environment says. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        case_sensitive=True,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
    )

    database_url: _DatabaseUrl | None = Field(
        default=None, validation_alias="PIMS_DATABASE_URL", description=_DATABASE_MEANING
    )
    database_pool_size: int = Field(
        default=10,
        ge=1,
        le=100,
        validation_alias="PIMS_DATABASE_POOL_SIZE",
        description="a whole number from 1 to 100",
    )
    lock_timeout_seconds: float = Field(
        default=10,
        ge=1,
        le=600,
        allow_inf_nan=False,
        validation_alias="PIMS_LOCK_TIMEOUT_SECONDS",
        description="a number from 1 to 600",
    )
    dagster_postgres_url: _DatabaseUrl | None = Field(
        default=None, validation_alias="DAGSTER_POSTGRES_URL", description=_DATABASE_MEANING
    )
    dagster_graphql_url: _WebAddress | None = Field(
        default=None,
        validation_alias="DAGSTER_GRAPHQL_URL",
        description="a web address such as http://127.0.0.1:3000/graphql",
    )
    api_database_url: _DatabaseUrl | None = Field(
        default=None, validation_alias="PIMS_API_DATABASE_URL", description=_DATABASE_MEANING
    )
    api_requests_per_minute: int = Field(
        default=60,
        ge=1,
        le=1_000_000,
        validation_alias="PIMS_API_REQUESTS_PER_MINUTE",
        description="a whole number from 1 to 1000000",
    )
    metrics_token: Annotated[SecretStr, _token()] | None = Field(
        default=None,
        validation_alias="PIMS_METRICS_TOKEN",
        description="a word of 16 characters or more; make one with: openssl rand -hex 24",
    )
    trusted_proxies: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_network)], ...],
        NoDecode,
        BeforeValidator(_split_at_commas),
    ] = Field(
        default=(),
        validation_alias="PIMS_TRUSTED_PROXIES",
        description="addresses or networks such as 10.0.0.0/8, separated by commas",
    )
    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_origin)], ...],
        NoDecode,
        BeforeValidator(_split_at_commas),
    ] = Field(
        default=(),
        validation_alias="PIMS_CORS_ORIGINS",
        description="web origins such as https://app.example, separated by commas",
    )
    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_host)], ...],
        NoDecode,
        BeforeValidator(_split_at_commas),
    ] = Field(
        default=(),
        validation_alias="PIMS_ALLOWED_HOSTS",
        description="names of hosts such as pims.example or pims.example:8443, separated by commas",
    )
    encryption_key: _Key | None = Field(
        default=None, validation_alias="ENCRYPTION_KEY", description=_KEY_MEANING
    )
    encryption_keys_retired: Annotated[
        tuple[_Key, ...], NoDecode, BeforeValidator(_split_at_commas)
    ] = Field(
        default=(),
        validation_alias="ENCRYPTION_KEYS_RETIRED",
        description="former values of ENCRYPTION_KEY, separated by commas",
    )
    home: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path(".pims"),
        validate_default=True,
        validation_alias="PIMS_HOME",
        description="a directory, which need not exist yet",
    )
    partition_start: Annotated[
        date, BeforeValidator(_plain_date), AfterValidator(_not_in_the_future)
    ] = Field(
        default_factory=lambda: default_partition_start(datetime.now(UTC).date()),
        validation_alias="PIMS_PARTITION_START",
        description="a date such as 2025-01-01, not in the future",
    )
    chromium_path: FilePath | None = Field(
        default=None,
        validation_alias="PIMS_CHROMIUM_PATH",
        description="the path of an existing Chromium or Chrome program",
    )
    browser_headless: bool = Field(
        default=True, validation_alias="PIMS_BROWSER_HEADLESS", description="true or false"
    )
    browser_sandbox: bool = Field(
        default=True, validation_alias="PIMS_BROWSER_SANDBOX", description="true or false"
    )
    requests_per_second: float = Field(
        default=10,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        validation_alias="PIMS_REQUESTS_PER_SECOND",
        description="a number above 0 and at most 1000",
    )
    request_timeout_seconds: float = Field(
        default=60,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        validation_alias="PIMS_REQUEST_TIMEOUT_SECONDS",
        description="a number from 1 to 3600",
    )
    clinic_timeout_seconds: float = Field(
        default=900,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        validation_alias="PIMS_CLINIC_TIMEOUT_SECONDS",
        description="a number from 1 to 86400",
    )
    run_timeout_seconds: float = Field(
        default=7200,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        validation_alias="PIMS_RUN_TIMEOUT_SECONDS",
        description="a number from 1 to 86400",
    )
    clinics_at_once: int = Field(
        default=8,
        ge=1,
        le=64,
        validation_alias="PIMS_CLINICS_AT_ONCE",
        description="a whole number from 1 to 64",
    )
    clinics_per_run: int = Field(
        default=50,
        ge=1,
        le=1000,
        validation_alias="PIMS_CLINICS_PER_RUN",
        description="a whole number from 1 to 1000",
    )
    retention_days: int = Field(
        default=400,
        ge=60,
        le=36_500,
        validation_alias="PIMS_RETENTION_DAYS",
        description="a whole number from 60 to 36500",
    )
    deletion_guard_min: int = Field(
        default=5,
        ge=0,
        validation_alias="PIMS_DELETION_GUARD_MIN",
        description="a whole number, 0 or more",
    )
    deletion_guard_percent: float = Field(
        default=30,
        ge=0,
        le=100,
        allow_inf_nan=False,
        validation_alias="PIMS_DELETION_GUARD_PERCENT",
        description="a number from 0 to 100",
    )
    slack_bot_token: Annotated[SecretStr, _token("xoxb-")] | None = Field(
        default=None,
        validation_alias="SLACK_BOT_TOKEN",
        description="a bot's token, which begins with xoxb-",
    )
    slack_channel: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="SLACK_CHANNEL",
        description="the id of a channel such as C0123456789",
    )
    heartbeat_url: Annotated[SecretStr, AfterValidator(_checked_secret_address)] | None = Field(
        default=None,
        validation_alias="PIMS_HEARTBEAT_URL",
        description="a web address such as https://health.example/ping/0123, without a user name",
    )
    axiom_token: Annotated[SecretStr, _token("xaat-")] | None = Field(
        default=None,
        validation_alias="AXIOM_TOKEN",
        description="an API token of Axiom, which begins with xaat-",
    )
    axiom_dataset: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="AXIOM_DATASET",
        description="the name of a dataset",
    )
    axiom_url: _PublicAddress | None = Field(
        default=None,
        validation_alias="AXIOM_URL",
        description="a web address such as https://api.axiom.co",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = Field(
        default="INFO",
        validation_alias="LOG_LEVEL",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL",
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default="console", validation_alias="LOG_FORMAT", description="console or json"
    )

    @model_validator(mode="after")
    def _a_shared_database_needs_a_key(self) -> Self:
        """A key file beside the data would protect nothing once the database is elsewhere."""
        if self.database_url is not None and self.encryption_key is None:
            raise SettingsError(
                [f"ENCRYPTION_KEY must be set when PIMS_DATABASE_URL is: {_KEY_MEANING}"]
            )
        return self

    @model_validator(mode="after")
    def _a_service_needs_both_its_variables(self) -> Self:
        """Half a configuration would send nothing, and nobody would notice."""
        pairs = (
            ("SLACK_BOT_TOKEN", self.slack_bot_token, "SLACK_CHANNEL", self.slack_channel),
            ("AXIOM_TOKEN", self.axiom_token, "AXIOM_DATASET", self.axiom_dataset),
        )
        problems = [
            f"{missing} must be set when {present} is"
            for one, first, other, second in pairs
            for present, missing, halved in (
                (one, other, first is not None and second is None),
                (other, one, second is not None and first is None),
            )
            if halved
        ]
        if problems:
            raise SettingsError(problems)
        return self

    def encryption_key_bytes(self) -> bytes | None:
        """The 32 bytes that encrypt, or None when the embedded database keeps its own key."""
        key = self.encryption_key
        return None if key is None else _key_bytes(key.get_secret_value())

    def retired_key_bytes(self) -> tuple[bytes, ...]:
        """The 32 bytes of each key that may still decrypt, in the order given."""
        return tuple(_key_bytes(key.get_secret_value()) for key in self.encryption_keys_retired)

    def dagster_ui_url(self) -> str:
        """Where Dagster's pages are, without a slash at the end; no user or password in it."""
        if self.dagster_graphql_url is None:
            return _DAGSTER_UI_URL
        parts = urlsplit(self.dagster_graphql_url)
        path = parts.path.rstrip("/").removesuffix("/graphql")
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{path}"

    def dagster_url(self, database_url: str) -> str:
        """Where Dagster keeps its runs and events, with the driver its storage works on.

        Args:
            database_url: The pipeline's database, as set or as the embedded server gave it;
                used unless ``DAGSTER_POSTGRES_URL`` names another.
        """
        url = self.dagster_postgres_url
        address = parse_database_address(url.get_secret_value() if url else database_url)
        elsewhere = address.schema != DEFAULT_SCHEMA
        options = (f"-csearch_path={address.schema}",) if elsewhere else ()
        return address.as_text(_DAGSTER_SCHEME, options=options)

    def __repr__(self) -> str:
        """Which variables are set, without their values: any may hold a secret by mistake."""
        names = variable_names()
        return f"Settings({', '.join(names[each] for each in sorted(self.model_fields_set))})"

    __str__ = __repr__


def variable_names() -> dict[str, str]:
    """Each environment variable, by the field of ``Settings`` it fills."""
    return {
        name: field.validation_alias
        for name, field in Settings.model_fields.items()
        if isinstance(field.validation_alias, str)
    }


def secret_variable_names() -> frozenset[str]:
    """The environment variables that hold secrets, or may: an address can hold a password."""
    names = variable_names()
    secret = {name for name, field in Settings.model_fields.items() if _is_secret(field.annotation)}
    return frozenset({names[name] for name in secret} | {"DAGSTER_GRAPHQL_URL"})


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


def load_settings() -> Settings:
    """The settings of this process, from its environment.

    Raises:
        SettingsError: If a variable's value is wrong or one that is needed is missing.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = {str(each["loc"][0]): _said(each) for each in error.errors(include_input=False)}
    # Raised outside the handler, so that no traceback can reach the values that were refused.
    raise SettingsError(_problem(variable, said) for variable, said in wrong.items())


def _said(error: ErrorDetails) -> str | None:
    """What is wrong with the value, where that is known and does not repeat it."""
    cause = error.get("ctx", {}).get("error")
    return cause.problem if isinstance(cause, BadDatabaseUrl) else None


def _problem(variable: str, said: str | None) -> str:
    field = next(
        each for each in Settings.model_fields.values() if each.validation_alias == variable
    )
    return f"{variable} must be {field.description}{f'; it {said}' if said else ''}"
