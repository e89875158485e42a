"""Every environment variable that the pipeline reads, checked once at start-up.

Add a variable to ``Settings`` and to ``docs/settings.md``. The check of a value belongs in
``setting_types``; what is built from the values belongs in ``composition``. Only the composition
roots call ``load_settings``; lower floors receive plain values.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from pims_pipeline.domain.addresses import (
    DEFAULT_SCHEMA,
    EXAMPLE,
    BadDatabaseUrl,
    parse_database_address,
)
from pims_pipeline.setting_types import (
    AbsolutePath,
    AxiomToken,
    DatabaseUrl,
    EncryptionKey,
    EncryptionKeys,
    HostNames,
    LogFormat,
    LogLevel,
    Networks,
    PastDate,
    PublicWebAddress,
    SecretWebAddress,
    SlackBotToken,
    Token,
    WebAddress,
    WebOrigins,
    key_bytes,
)

_DATABASE_MEANING = f"a PostgreSQL address such as {EXAMPLE}"
_KEY_MEANING = "32 random bytes in base64; make one with: openssl rand -base64 32"
_DAGSTER_UI_URL = "http://127.0.0.1:3000"
"""The default address of the Dagster UI under ``pims up``."""
_DAGSTER_SCHEME = "postgresql+psycopg2"
"""In SQLAlchemy 2.1 ``postgresql://`` means psycopg 3, with which Dagster's storage fails."""


class SettingsError(Exception):
    """The environment holds wrong values.

    Attributes:
        problems: One sentence per wrong variable: its name, and what it must be. Values are never
            repeated, because a secret may have been pasted into the wrong variable.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def default_partition_start(today: date) -> date:
    """The first of January of the year before ``today``."""
    return date(today.year - 1, 1, 1)


class Settings(BaseSettings):
    """The values of the environment variables. An empty variable counts as unset.

    The description of a field says what its value must be, and is part of the error message.
    """

    model_config = SettingsConfigDict(
        case_sensitive=True,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
    )

    database_url: DatabaseUrl | None = Field(
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
    dagster_postgres_url: DatabaseUrl | None = Field(
        default=None, validation_alias="DAGSTER_POSTGRES_URL", description=_DATABASE_MEANING
    )
    dagster_graphql_url: WebAddress | None = Field(
        default=None,
        validation_alias="DAGSTER_GRAPHQL_URL",
        description="a web address such as http://127.0.0.1:3000/graphql",
    )
    api_database_url: DatabaseUrl | None = Field(
        default=None, validation_alias="PIMS_API_DATABASE_URL", description=_DATABASE_MEANING
    )
    api_requests_per_minute: int = Field(
        default=60,
        ge=1,
        le=1_000_000,
        validation_alias="PIMS_API_REQUESTS_PER_MINUTE",
        description="a whole number from 1 to 1000000",
    )
    metrics_token: Token | None = Field(
        default=None,
        validation_alias="PIMS_METRICS_TOKEN",
        description="a word of 16 characters or more; make one with: openssl rand -hex 24",
    )
    trusted_proxies: Networks = Field(
        default=(),
        validation_alias="PIMS_TRUSTED_PROXIES",
        description="addresses or networks such as 10.0.0.0/8, separated by commas",
    )
    cors_origins: WebOrigins = Field(
        default=(),
        validation_alias="PIMS_CORS_ORIGINS",
        description="web origins such as https://app.example, separated by commas",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        validation_alias="PIMS_ALLOWED_HOSTS",
        description="names of hosts such as pims.example or pims.example:8443, separated by commas",
    )
    encryption_key: EncryptionKey | None = Field(
        default=None, validation_alias="ENCRYPTION_KEY", description=_KEY_MEANING
    )
    encryption_keys_retired: EncryptionKeys = Field(
        default=(),
        validation_alias="ENCRYPTION_KEYS_RETIRED",
        description="former values of ENCRYPTION_KEY, separated by commas",
    )
    home: AbsolutePath = Field(
        default=Path(".pims"),
        validate_default=True,
        validation_alias="PIMS_HOME",
        description="a directory, which need not exist yet",
    )
    partition_start: PastDate = Field(
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
    slack_bot_token: SlackBotToken | None = Field(
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
    heartbeat_url: SecretWebAddress | None = Field(
        default=None,
        validation_alias="PIMS_HEARTBEAT_URL",
        description="a web address such as https://health.example/ping/0123, without a user name",
    )
    axiom_token: AxiomToken | None = Field(
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
    axiom_url: PublicWebAddress | None = Field(
        default=None,
        validation_alias="AXIOM_URL",
        description="a web address such as https://api.axiom.co",
    )
    log_level: LogLevel = Field(
        default="INFO",
        validation_alias="LOG_LEVEL",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL",
    )
    log_format: LogFormat = Field(
        default="console", validation_alias="LOG_FORMAT", description="console or json"
    )

    @model_validator(mode="after")
    def _a_shared_database_needs_a_key(self) -> Self:
        """A shared database needs a key of the environment: a local key file cannot be shared."""
        if self.database_url is not None and self.encryption_key is None:
            raise SettingsError(
                [f"ENCRYPTION_KEY must be set when PIMS_DATABASE_URL is: {_KEY_MEANING}"]
            )
        return self

    @model_validator(mode="after")
    def _a_service_needs_both_its_variables(self) -> Self:
        """With half a configuration nothing would be sent, without any error."""
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
        """The 32 bytes of the key that encrypts; None when the embedded database has its own."""
        key = self.encryption_key
        return None if key is None else key_bytes(key)

    def retired_key_bytes(self) -> tuple[bytes, ...]:
        """The 32 bytes of each key that may still decrypt, in the order given."""
        return tuple(key_bytes(key) for key in self.encryption_keys_retired)

    def dagster_ui_url(self) -> str:
        """The address of the Dagster UI, without a slash at the end, user or password."""
        if self.dagster_graphql_url is None:
            return _DAGSTER_UI_URL
        parts = urlsplit(self.dagster_graphql_url)
        path = parts.path.rstrip("/").removesuffix("/graphql")
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{path}"

    def dagster_url(self, database_url: str) -> str:
        """The address of Dagster's storage, with the driver that it needs; a secret.

        Args:
            database_url: The pipeline's database; used unless ``DAGSTER_POSTGRES_URL`` is set.
        """
        url = self.dagster_postgres_url
        address = parse_database_address(url.get_secret_value() if url else database_url)
        elsewhere = address.schema != DEFAULT_SCHEMA
        options = (f"-csearch_path={address.schema}",) if elsewhere else ()
        return address.as_text(_DAGSTER_SCHEME, options=options)

    def __repr__(self) -> str:
        """The names of the set variables, without values: any may hold a secret by mistake."""
        names = variable_names()
        return f"Settings({', '.join(names[each] for each in sorted(self.model_fields_set))})"

    __str__ = __repr__


def variable_names() -> dict[str, str]:
    """The environment variables, by their fields of ``Settings``."""
    return {
        name: field.validation_alias
        for name, field in Settings.model_fields.items()
        if isinstance(field.validation_alias, str)
    }


def secret_variable_names() -> frozenset[str]:
    """The environment variables that hold secrets, or addresses that may hold a password."""
    names = variable_names()
    secret = {name for name, field in Settings.model_fields.items() if _is_secret(field.annotation)}
    return frozenset({names[name] for name in secret} | {"DAGSTER_GRAPHQL_URL"})


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


def load_settings() -> Settings:
    """The settings of this process, from its environment.

    Raises:
        SettingsError: If the value of a variable is wrong, or a required variable is missing.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = {str(each["loc"][0]): _detail(each) for each in error.errors(include_input=False)}
    # Raised outside the handler, so that no traceback can reach the refused values.
    raise SettingsError(_problem(variable, detail) for variable, detail in wrong.items())


def _detail(error: ErrorDetails) -> str | None:
    """What is wrong with the value, if that is known without repeating the value."""
    cause = error.get("ctx", {}).get("error")
    return cause.problem if isinstance(cause, BadDatabaseUrl) else None


def _problem(variable: str, detail: str | None) -> str:
    field = next(
        each for each in Settings.model_fields.values() if each.validation_alias == variable
    )
    return f"{variable} must be {field.description}{f'; it {detail}' if detail else ''}"
