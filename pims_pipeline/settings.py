"""The settings of a process: every environment variable, checked once at start-up.

Only the composition roots call ``load_settings``; lower floors receive plain values. Add a variable
to its area in ``setting_areas`` or ``setting_console``; add a rule about several variables here.
What is built from the values belongs in ``composition``.
"""

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from pims_pipeline.domain.addresses.parsing import (
    DAGSTER_SCHEMA,
    DEFAULT_SCHEMA,
    BadDatabaseUrl,
    in_schema,
    parse_database_address,
)
from pims_pipeline.domain.console.links import DEFAULT_CONSOLE_URL
from pims_pipeline.setting_areas import (
    DATABASE_ADDRESS,
    ENCRYPTION_KEY,
    ApiSettings,
    BrowserSettings,
    DataSettings,
    LogSettings,
    SettingsArea,
    SyncSettings,
)
from pims_pipeline.setting_console import ConsoleSettings
from pims_pipeline.setting_delivery import AlertSettings, WebhookSettings
from pims_pipeline.setting_files import (
    SUFFIX,
    file_variable,
    files_open_to_all,
    read_secret_files,
)
from pims_pipeline.setting_types import key_bytes

FORMER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {"SUPABASE_DB_URL": "PIMS_DATABASE_URL", "HEADLESS": "PIMS_BROWSER_HEADLESS"}
)
"""Variables of the v4.0 service, and those that replace them."""
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


class FormerSettings(SettingsArea):
    """Variables of the v4.0 service, read when the one that replaces them is unset."""

    supabase_db_url: SecretStr | None = Field(
        default=None, validation_alias="SUPABASE_DB_URL", description=DATABASE_ADDRESS
    )
    """Read when ``PIMS_DATABASE_URL`` is unset."""

    headless: str | None = Field(
        default=None, validation_alias="HEADLESS", description="true or false"
    )
    """Read when ``PIMS_BROWSER_HEADLESS`` is unset."""

    idexx_encryption_key: SecretStr | None = Field(
        default=None,
        validation_alias="IDEXX_ENCRYPTION_KEY",
        description="the password of the v4.0 service's encryption",
    )
    """Decrypts the v4.0 service's credentials while they are imported; encrypts nothing, and no
    other command reads it. A key id of its own has a variable of its own, such as
    ``IDEXX_ENCRYPTION_KEY_CLINIC7``."""


class Settings(
    FormerSettings,
    LogSettings,
    BrowserSettings,
    AlertSettings,
    WebhookSettings,
    ConsoleSettings,
    ApiSettings,
    SyncSettings,
    DataSettings,
):
    """The values of the environment variables. An empty variable counts as unset."""

    @model_validator(mode="before")
    @classmethod
    def _former_variables_count_while_ours_are_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        fields = {variable: field for field, variable in variable_names().items()}
        former = {
            ours: values[theirs]
            for theirs, ours in FORMER_VARIABLES.items()
            if theirs in values and not {ours, fields[ours]} & values.keys()
        }
        return {**values, **former}

    @model_validator(mode="after")
    def _a_shared_database_needs_a_key(self) -> Self:
        """A shared database needs a key of the environment: a local key file cannot be shared."""
        if self.database_url is not None and self.encryption_key is None:
            present = _set_variable("PIMS_DATABASE_URL")
            raise SettingsError([f"ENCRYPTION_KEY must be set when {present} is: {ENCRYPTION_KEY}"])
        return self

    @model_validator(mode="after")
    def _the_tables_have_one_schema(self) -> Self:
        """An address may repeat the schema of ``PIMS_DATABASE_SCHEMA``, but not contradict it."""
        addresses = {
            "PIMS_DATABASE_URL": self.database_url,
            "PIMS_API_DATABASE_URL": self.api_database_url,
        }
        problems = []
        for variable, url in addresses.items():
            try:
                if url is not None:
                    in_schema(url.get_secret_value(), self.database_schema)
            except BadDatabaseUrl:
                problems.append(
                    f"{variable} and PIMS_DATABASE_SCHEMA name different schemas; remove the "
                    "schema from one of them"
                )
        if problems:
            raise SettingsError(problems)
        return self

    @model_validator(mode="after")
    def _dagsters_tables_have_another(self) -> Self:
        """Otherwise Dagster's tables would come to those of the other application, or to ours."""
        if self.dagster_postgres_url is None or self.database_schema in {None, DEFAULT_SCHEMA}:
            return self
        named = parse_database_address(self.dagster_postgres_url.get_secret_value()).named_schema
        if named in {None, self.database_schema}:
            problem = "must name a schema of its own when PIMS_DATABASE_SCHEMA is set"
            remedy = f"write ?schema={DAGSTER_SCHEMA} at its end"
            raise SettingsError([f"DAGSTER_POSTGRES_URL {problem}: {remedy}"])
        return self

    @model_validator(mode="after")
    def _a_service_needs_both_its_variables(self) -> Self:
        """With half a configuration nothing would be sent, without any error."""
        pairs = (
            ("SLACK_BOT_TOKEN", self.slack_bot_token, "SLACK_CHANNEL", self.slack_channel),
            ("AXIOM_TOKEN", self.axiom_token, "AXIOM_DATASET", self.axiom_dataset),
            (
                "PIMS_CONSOLE_PROXY_HEADER",
                self.console_proxy_header,
                "PIMS_CONSOLE_PROXY_ADDRESSES",
                self.console_proxy_addresses or None,
            ),
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

    def ignored_variables(self) -> tuple[str, ...]:
        """The variables of the v4.0 service whose values differ from those of ours."""
        database, former = self.database_url, self.supabase_db_url
        shown = "true" if self.browser_headless else "false"
        ignored = {
            "SUPABASE_DB_URL": former is not None
            and (database is None or former.get_secret_value().strip() != _text_of(database)),
            "HEADLESS": self.headless is not None and _as_boolean(self.headless) != shown,
        }
        return tuple(variable for variable, is_ignored in ignored.items() if is_ignored)

    def dagster_ui_url(self) -> str:
        """The address of the Dagster UI, without a slash at the end, user or password."""
        if self.dagster_graphql_url is None:
            return _DAGSTER_UI_URL
        parts = urlsplit(self.dagster_graphql_url)
        path = parts.path.rstrip("/").removesuffix("/graphql")
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{path}"

    def console_address(self) -> str:
        """The address of the console, without a slash at the end."""
        return (self.console_url or DEFAULT_CONSOLE_URL).rstrip("/")

    def in_our_schema(self, url: str) -> str:
        """The address ``url`` of the pipeline's database, with the schema of the tables."""
        return in_schema(url, self.database_schema)

    def dagster_url(self) -> str | None:
        """The address of Dagster's storage, with the driver that it needs; a secret.

        None unless ``DAGSTER_POSTGRES_URL`` is set.
        """
        if self.dagster_postgres_url is None:
            return None
        address = parse_database_address(self.dagster_postgres_url.get_secret_value())
        named = address.named_schema
        options = () if named is None else (f"-csearch_path={named}",)
        return address.as_text(_DAGSTER_SCHEME, options=options)

    def __repr__(self) -> str:
        """The names of the set variables, without values: any may hold a secret by mistake."""
        names = variable_names()
        return f"Settings({', '.join(names[each] for each in sorted(self.model_fields_set))})"

    __str__ = __repr__


def _text_of(secret: SecretStr) -> str:
    return secret.get_secret_value()


def _as_boolean(text: str) -> str:
    """``true`` or ``false`` for any text that pydantic takes for a boolean."""
    word = text.strip().lower()
    words = {"true": ("1", "t", "y", "yes", "on"), "false": ("0", "f", "n", "no", "off")}
    return next((value for value, others in words.items() if word in others), word)


def _set_variable(ours: str) -> str:
    """The variable that set the value of ``ours``: itself, its file's, or the v4.0 service's."""
    former = [theirs for theirs, each in FORMER_VARIABLES.items() if each == ours]
    names = [name for each in (ours, *former) for name in (each, file_variable(each))]
    is_set = [each for each in names if os.environ.get(each)]
    return is_set[0] if is_set else ours


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


def component_variables() -> frozenset[str]:
    """The variables that the component may set: the limits of syncs, and the browser's.

    None holds a secret. Variables that the ``pims`` command and the API read too must be in the
    environment, which all processes share.
    """
    names = variable_names()
    areas = (SyncSettings, BrowserSettings)
    return frozenset(names[name] for area in areas for name in area.model_fields)


def load_settings(given: Mapping[str, object] = MappingProxyType({})) -> Settings:
    """The settings of this process, from its environment and the files that it names.

    Args:
        given: Values by variable, instead of those of the environment.

    Raises:
        SettingsError: If the value of a variable is wrong, a required variable is missing, or the
            file of a secret cannot be used.
    """
    files = read_secret_files(secret_variable_names(), os.environ)
    values: dict[str, Any] = {**files.values, **given}
    wrong: dict[str, str | None] = {}
    try:
        settings = Settings(**values)
        if not files.problems:
            return settings
    except ValidationError as error:
        wrong = {str(each["loc"][0]): _detail(each) for each in error.errors(include_input=False)}
    except SettingsError:
        # What others miss may be in a file that cannot be used.
        if not files.problems:
            raise
    # Raised outside the handler, so that no traceback can reach the refused values.
    problems = [_problem(variable, detail) for variable, detail in wrong.items()]
    raise SettingsError([*files.problems, *problems])


def environment_value(name: str) -> str | None:
    """A secret that a single command reads, from a variable or its file; None if it has neither.

    For names that only the command knows, such as those of a v4.0 installation's keys.

    Raises:
        SettingsError: If the file cannot be used.
    """
    files = read_secret_files([name], os.environ)
    if files.problems:
        raise SettingsError(files.problems)
    return files.values.get(name) or os.environ.get(name) or None


def exposed_secret_files() -> tuple[str, ...]:
    """The variables that name a file of a secret that every user of the machine may read."""
    return files_open_to_all(secret_variable_names(), os.environ)


def _detail(error: ErrorDetails) -> str | None:
    """What is wrong with the value, if that is known without repeating the value."""
    cause = error.get("ctx", {}).get("error")
    return cause.problem if isinstance(cause, BadDatabaseUrl) else None


def _problem(variable: str, detail: str | None) -> str:
    field = next(
        each for each in Settings.model_fields.values() if each.validation_alias == variable
    )
    named = _set_variable(variable)
    held = "hold " if named.endswith(SUFFIX) else "be "
    return f"{named} must {held}{field.description}{f'; it {detail}' if detail else ''}"
