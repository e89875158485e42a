"""The environment variables by area: name, type, limits, default and meaning of each.

Add a variable to the class of its area, with its meaning as the docstring below it, and run
``make docs``: docs/settings.md has a table for each class. The description of a field completes
the sentence "the variable must be …" and is part of the error message. A rule about two variables
belongs in ``settings``, the check of a value in ``setting_types``.
"""

from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings, SettingsConfigDict

from pims_pipeline.domain.addresses.parameters import EXAMPLE
from pims_pipeline.domain.addresses.parsing import SCHEMA_NAME
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
    SchemaName,
    Token,
    WebAddress,
    WebOrigins,
)

DATABASE_ADDRESS = f"a PostgreSQL address such as {EXAMPLE}"
ENCRYPTION_KEY = "32 random bytes in base64; make one with: openssl rand -base64 32"


def default_partition_start(today: date) -> date:
    """The first of January of the year before ``today``."""
    return date(today.year - 1, 1, 1)


class SettingsArea(BaseSettings):
    """What all areas share: an empty variable counts as unset, and no error repeats a value."""

    model_config = SettingsConfigDict(
        case_sensitive=True,
        # No area is ever created by itself, only ``Settings``, which has the fields of all.
        defer_build=True,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
    )


class DataSettings(SettingsArea):
    """Databases, the local directory, and encryption keys."""

    home: AbsolutePath = Field(
        default=Path(".pims"),
        validate_default=True,
        validation_alias="PIMS_HOME",
        description="a directory, which need not exist yet",
    )
    """The directory of local files: the embedded database and its key, Dagster's records,
    screenshots of failed logins. A relative path starts from the working directory. The directory
    is closed to other users; one that another user owns is refused."""

    database_url: DatabaseUrl | None = Field(
        default=None, validation_alias="PIMS_DATABASE_URL", description=DATABASE_ADDRESS
    )
    """The pipeline's database, PostgreSQL 15 or newer. A pooler in transaction mode (Supabase's
    port 6543) works. Unset: the embedded database."""

    database_schema: SchemaName | None = Field(
        default=None, validation_alias="PIMS_DATABASE_SCHEMA", description=SCHEMA_NAME
    )
    """The schema of the pipeline's tables and functions, for every process; ``pims migrate``
    creates it. Where another application has tables named like ours in ``public``, set it to a
    name of its own, such as ``pims``. Unset: the schema that the address names, else ``public``."""

    database_pool_size: int = Field(
        default=10,
        ge=1,
        le=100,
        validation_alias="PIMS_DATABASE_POOL_SIZE",
        description="a whole number from 1 to 100",
    )
    """The most connections that one process opens to the pipeline's database. With few, threads
    wait for one another for up to two minutes. One connection serves any number of clinics."""

    lock_timeout_seconds: float = Field(
        default=10,
        ge=1,
        le=600,
        allow_inf_nan=False,
        validation_alias="PIMS_LOCK_TIMEOUT_SECONDS",
        description="a number from 1 to 600",
    )
    """How long a transaction waits for a row, table or clinic that another session has locked.
    Then it fails, and the error names that session."""

    dagster_postgres_url: DatabaseUrl | None = Field(
        default=None, validation_alias="DAGSTER_POSTGRES_URL", description=DATABASE_ADDRESS
    )
    """The database of Dagster's runs and events. When ``PIMS_DATABASE_URL`` is a pooler in
    transaction mode, set it to the pooler's session mode (Supabase's port 5432) or to a direct
    connection. Unset: the pipeline's database."""

    dagster_graphql_url: WebAddress | None = Field(
        default=None,
        validation_alias="DAGSTER_GRAPHQL_URL",
        description="a web address such as http://127.0.0.1:3000/graphql",
    )
    """The GraphQL endpoint of Dagster's webserver. Links to runs use the same address without
    ``/graphql``. Unset: port 3000 of this machine."""

    encryption_key: EncryptionKey | None = Field(
        default=None, validation_alias="ENCRYPTION_KEY", description=ENCRYPTION_KEY
    )
    """The key that encrypts credentials and sessions. Required when ``PIMS_DATABASE_URL`` is set.
    Keep a copy: without the key, every clinic's credentials must be entered again."""

    encryption_keys_retired: EncryptionKeys = Field(
        default=(),
        validation_alias="ENCRYPTION_KEYS_RETIRED",
        description="former values of ENCRYPTION_KEY, separated by commas",
    )
    """Keys that decrypt what they encrypted earlier, and encrypt nothing."""


class SyncSettings(SettingsArea):
    """Limits of syncs: dates, clinics, requests, time, deletions, retention."""

    partition_start: PastDate = Field(
        default_factory=lambda: default_partition_start(datetime.now(UTC).date()),
        validation_alias="PIMS_PARTITION_START",
        description="a date such as 2025-01-01, not in the future",
    )
    """The first business date that has a partition. Unset: 1 January of last year."""

    whole_listing_minutes: int = Field(
        default=60,
        ge=0,
        le=1440,
        validation_alias="PIMS_WHOLE_LISTING_MINUTES",
        description="a whole number from 0 to 1440",
    )
    """For how long a scheduled sync of the calendar fetches only what the vendor changed since its
    last whole listing, where the vendor lists changes. 0: it lists the whole calendar each time, as
    other syncs do."""

    clinics_per_run: int = Field(
        default=50,
        ge=1,
        le=1000,
        validation_alias="PIMS_CLINICS_PER_RUN",
        description="a whole number from 1 to 1000",
    )
    """The most clinics that the schedules put into one run."""

    clinics_at_once: int = Field(
        default=8,
        ge=1,
        le=64,
        validation_alias="PIMS_CLINICS_AT_ONCE",
        description="a whole number from 1 to 64",
    )
    """How many clinics one run syncs in parallel."""

    requests_per_second: float = Field(
        default=10,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        validation_alias="PIMS_REQUESTS_PER_SECOND",
        description="a number above 0 and at most 1000",
    )
    """The most requests per second to one vendor account. Raise it for a simulator only. Unless it
    is set, Vetspire gets 5."""

    request_timeout_seconds: float = Field(
        default=60,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        validation_alias="PIMS_REQUEST_TIMEOUT_SECONDS",
        description="a number from 1 to 3600",
    )
    """The total time of one request to a vendor, from the connection to the last byte. A slow
    listing of a large clinic may need more."""

    clinic_timeout_seconds: float = Field(
        default=900,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        validation_alias="PIMS_CLINIC_TIMEOUT_SECONDS",
        description="a number from 1 to 86400",
    )
    """The time limit of a phase of one clinic, for each window of up to 31 days. A clinic that
    exceeds it fails; the others go on."""

    run_timeout_seconds: float = Field(
        default=7200,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        validation_alias="PIMS_RUN_TIMEOUT_SECONDS",
        description="a number from 1 to 86400",
    )
    """The time limit of a run. Clinics that it has not finished by then fail, and the next sync
    does their work. Raise it for a long backfill."""

    deletion_guard_min: int = Field(
        default=5,
        ge=0,
        validation_alias="PIMS_DELETION_GUARD_MIN",
        description="a whole number, 0 or more",
    )
    """How many cases of a window a reconciliation may always retire."""

    deletion_guard_percent: float = Field(
        default=30,
        ge=0,
        le=100,
        allow_inf_nan=False,
        validation_alias="PIMS_DELETION_GUARD_PERCENT",
        description="a number from 0 to 100",
    )
    """The percentage of a window's active cases that a reconciliation may retire when it is more
    than ``PIMS_DELETION_GUARD_MIN``. A window that exceeds both limits is held for a decision."""

    retention_days: int = Field(
        default=400,
        ge=60,
        le=36_500,
        validation_alias="PIMS_RETENTION_DAYS",
        description="a whole number from 60 to 36500",
    )
    """How many days the nightly maintenance keeps landed appointments, resolved failures and ended
    alerts. Cases, their events and audits are never deleted."""


class ApiSettings(SettingsArea):
    """The REST API: its database login, its limits, its clients."""

    api_database_url: DatabaseUrl | None = Field(
        default=None, validation_alias="PIMS_API_DATABASE_URL", description=DATABASE_ADDRESS
    )
    """The pipeline's database, with a login that has the rights of the role ``pims_api`` and no
    others. Required when ``PIMS_DATABASE_URL`` is set; not needed with the embedded one."""

    api_requests_per_minute: int = Field(
        default=60,
        ge=1,
        le=1_000_000,
        validation_alias="PIMS_API_REQUESTS_PER_MINUTE",
        description="a whole number from 1 to 1000000",
    )
    """The most requests per minute with one API key. Further requests get status 429."""

    metrics_token: Token | None = Field(
        default=None,
        validation_alias="PIMS_METRICS_TOKEN",
        description="a word of 16 characters or more; make one with: openssl rand -hex 24",
    )
    """The bearer token that ``/metrics`` requires. Unset: only this machine may read it."""

    trusted_proxies: Networks = Field(
        default=(),
        validation_alias="PIMS_TRUSTED_PROXIES",
        description="addresses or networks such as 10.0.0.0/8, separated by commas",
    )
    """Proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` the API accepts."""

    allowed_hosts: HostNames = Field(
        default=(),
        validation_alias="PIMS_ALLOWED_HOSTS",
        description="names of hosts such as pims.example or pims.example:8443, separated by commas",
    )
    """Host names of the API and of the Dagster UI of ``pims up``. A name without a port holds for
    the ports 80, 443 and the server's own. Always allowed for the Dagster UI: ``127.0.0.1``,
    ``localhost``, ``[::1]``, its ``--host`` and the host of ``DAGSTER_GRAPHQL_URL``. Unset: the API
    accepts the same names and any IP address when it listens on loopback, and any name
    otherwise."""

    cors_origins: WebOrigins = Field(
        default=(),
        validation_alias="PIMS_CORS_ORIGINS",
        description="web origins such as https://app.example, separated by commas",
    )
    """Web origins whose pages may call the API. Unset: none."""


class BrowserSettings(SettingsArea):
    """The browser that logs in."""

    chromium_path: FilePath | None = Field(
        default=None,
        validation_alias="PIMS_CHROMIUM_PATH",
        description="the path of an existing Chromium or Chrome program",
    )
    """The browser to use. Unset: the first of ``chromium``, ``chromium-browser``,
    ``google-chrome``, ``google-chrome-stable`` on the path, then Playwright's own."""

    browser_headless: bool = Field(
        default=True, validation_alias="PIMS_BROWSER_HEADLESS", description="true or false"
    )
    """``false`` shows the browser's window, to watch a login."""

    browser_sandbox: bool = Field(
        default=True, validation_alias="PIMS_BROWSER_SANDBOX", description="true or false"
    )
    """``false`` starts Chromium without its sandbox, for machines that do not permit one (a
    container without user namespaces). As root, Chromium never has a sandbox: run the pipeline as
    another user."""

    browser_logins_at_once: int = Field(
        default=2,
        ge=1,
        le=16,
        validation_alias="PIMS_BROWSER_LOGINS_AT_ONCE",
        description="a whole number from 1 to 16",
    )
    """How many logins one process runs at once, in one browser. Other clinics wait for their
    turn."""


class LogSettings(SettingsArea):
    """What is logged, and where to."""

    log_level: LogLevel = Field(
        default="INFO",
        validation_alias="LOG_LEVEL",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL",
    )
    """The lowest level that is logged."""

    log_format: LogFormat = Field(
        default="console", validation_alias="LOG_FORMAT", description="console or json"
    )
    """``console`` is easy to read, ``json`` is one object per line. Both go to standard error,
    without personal data."""

    axiom_token: AxiomToken | None = Field(
        default=None,
        validation_alias="AXIOM_TOKEN",
        description="an API token of Axiom of 16 characters or more, which begins with xaat-",
    )
    """A token that may ingest: each log line goes to Axiom too. Requires ``AXIOM_DATASET``."""

    axiom_dataset: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="AXIOM_DATASET",
        description="the name of a dataset",
    )
    """The dataset for log lines. Requires ``AXIOM_TOKEN``."""

    axiom_url: PublicWebAddress | None = Field(
        default=None,
        validation_alias="AXIOM_URL",
        description="a web address such as https://api.axiom.co",
    )
    """The address of Axiom. Unset: Axiom's public address."""
