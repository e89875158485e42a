"""Environment variables: defaults, limits, and the errors of wrong values."""

import base64
import traceback
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pims_pipeline.setting_areas import default_partition_start
from pims_pipeline.settings import Settings, SettingsError, load_settings, variable_names

KEY = base64.b64encode(bytes(range(32))).decode()
METRICS_TOKEN = "metrics-hunter2-0123456789"
SLACK_TOKEN = "xoxb-hunter2-0123456789"
AXIOM_TOKEN = "xaat-hunter2-0123456789"
OLD_KEY = base64.b64encode(bytes(32)).decode()
DATABASE = "postgresql://pims:hunter2@db.example:6543/pims?sslmode=require"


@pytest.fixture(autouse=True)
def _no_variable_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variable_names().values():
        monkeypatch.delenv(variable, raising=False)


def problems(**variables: str) -> tuple[str, ...]:
    """The problems that ``load_settings`` reports for an environment of ``variables``."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in variables.items():
            patch.setenv(variable, value)
        with pytest.raises(SettingsError) as caught:
            load_settings()
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return caught.value.problems


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return load_settings()


def test_an_empty_environment_gives_the_embedded_defaults() -> None:
    settings = load_settings()

    assert settings.database_url is None
    assert settings.encryption_key_bytes() is None
    assert settings.retired_key_bytes() == ()
    assert settings.home == Path.cwd() / ".pims"
    assert settings.partition_start == default_partition_start(datetime.now(UTC).date())
    assert settings.chromium_path is None
    assert settings.browser_headless is True
    assert settings.browser_sandbox is True
    assert settings.requests_per_second == 10
    assert settings.clinics_at_once == 8
    assert (settings.deletion_guard_min, settings.deletion_guard_percent) == (5, 30)
    assert (settings.api_database_url, settings.metrics_token) == (None, None)
    assert settings.api_requests_per_minute == 60
    assert (settings.trusted_proxies, settings.cors_origins) == ((), ())
    assert (settings.clinics_per_run, settings.retention_days) == (50, 400)
    assert (settings.slack_bot_token, settings.slack_channel) == (None, None)
    assert (settings.axiom_token, settings.axiom_dataset, settings.axiom_url) == (None, None, None)
    assert (settings.log_level, settings.log_format) == ("INFO", "console")


def test_the_partitions_start_with_last_year() -> None:
    assert default_partition_start(date(2026, 1, 1)) == date(2025, 1, 1)
    assert default_partition_start(date(2024, 2, 29)) == date(2023, 1, 1)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = dict.fromkeys(variable_names().values(), "")

    assert loaded(monkeypatch, **empty) == load_settings()


def test_every_variable_of_secrets_and_services_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(
        monkeypatch,
        PIMS_DATABASE_URL=DATABASE,
        DAGSTER_POSTGRES_URL="postgres://dagster:secret@db.example/dagster",
        ENCRYPTION_KEY=KEY,
        ENCRYPTION_KEYS_RETIRED=f"{OLD_KEY}, {KEY},",
        PIMS_API_DATABASE_URL="postgresql://pims_api:secret@db.example/pims",
        PIMS_METRICS_TOKEN=METRICS_TOKEN,
        SLACK_BOT_TOKEN=SLACK_TOKEN,
        SLACK_CHANNEL="C0123456789",
        AXIOM_TOKEN=AXIOM_TOKEN,
        AXIOM_DATASET="pims",
        AXIOM_URL="https://axiom.example",
    )

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DATABASE
    assert settings.encryption_key_bytes() == bytes(range(32))
    assert settings.retired_key_bytes() == (bytes(32), bytes(range(32)))
    assert settings.api_database_url is not None
    assert settings.api_database_url.get_secret_value().endswith("@db.example/pims")
    assert settings.metrics_token is not None
    assert settings.metrics_token.get_secret_value() == METRICS_TOKEN
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == SLACK_TOKEN
    assert settings.slack_channel == "C0123456789"
    assert settings.axiom_token is not None
    assert settings.axiom_token.get_secret_value() == AXIOM_TOKEN
    assert (settings.axiom_dataset, settings.axiom_url) == ("pims", "https://axiom.example")


def test_every_other_variable_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chromium = tmp_path / "chromium"
    chromium.touch()

    settings = loaded(
        monkeypatch,
        DAGSTER_GRAPHQL_URL="https://dagster.example/graphql",
        PIMS_HOME=str(tmp_path),
        PIMS_PARTITION_START="2025-03-01",
        PIMS_CHROMIUM_PATH=str(chromium),
        PIMS_BROWSER_HEADLESS="false",
        PIMS_BROWSER_SANDBOX="false",
        PIMS_REQUESTS_PER_SECOND="2.5",
        PIMS_CLINICS_AT_ONCE="3",
        PIMS_DELETION_GUARD_MIN="0",
        PIMS_DELETION_GUARD_PERCENT="12.5",
        PIMS_API_REQUESTS_PER_MINUTE="600",
        PIMS_TRUSTED_PROXIES="10.1.2.3/8, ::1",
        PIMS_CORS_ORIGINS="https://app.example/,http://localhost:5173",
        PIMS_CLINICS_PER_RUN="20",
        PIMS_RETENTION_DAYS="90",
        LOG_LEVEL="debug",
        LOG_FORMAT="JSON",
    )

    assert settings.dagster_graphql_url == "https://dagster.example/graphql"
    assert settings.home == tmp_path
    assert settings.partition_start == date(2025, 3, 1)
    assert settings.chromium_path == chromium
    assert settings.browser_headless is False
    assert settings.browser_sandbox is False
    assert settings.requests_per_second == 2.5
    assert settings.clinics_at_once == 3
    assert (settings.deletion_guard_min, settings.deletion_guard_percent) == (0, 12.5)
    assert settings.api_requests_per_minute == 600
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.cors_origins == ("https://app.example", "http://localhost:5173")
    assert (settings.clinics_per_run, settings.retention_days) == (20, 90)
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, PIMS_HOME="data/pims").home == Path.cwd() / "data" / "pims"


@pytest.mark.parametrize(
    ("address", "ui"),
    [
        ("", "http://127.0.0.1:3000"),
        ("http://localhost:3001/graphql", "http://localhost:3001"),
        ("https://dagster.example/pims/graphql/", "https://dagster.example/pims"),
        ("https://dagster.example/", "https://dagster.example"),
        ("https://user:hunter2@dagster.example/graphql", "https://dagster.example"),
    ],
)
def test_the_dagster_ui_is_beside_its_graphql(
    monkeypatch: pytest.MonkeyPatch, address: str, ui: str
) -> None:
    assert loaded(monkeypatch, DAGSTER_GRAPHQL_URL=address).dagster_ui_url() == ui


@pytest.mark.parametrize(
    ("address", "console"),
    [
        ("", "http://127.0.0.1:8000/console"),
        ("https://pims.example/console/", "https://pims.example/console"),
    ],
)
def test_links_lead_to_the_console_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, address: str, console: str
) -> None:
    assert loaded(monkeypatch, PIMS_CONSOLE_URL=address).console_address() == console


def test_dagster_uses_its_own_database_when_one_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = loaded(monkeypatch, DAGSTER_POSTGRES_URL="postgres://dagster:pw@other/dagster")

    assert settings.dagster_url() == "postgresql+psycopg2://dagster:pw@other/dagster"
    named = "postgres://dagster:pw@other/dagster?schema=public"
    options = make_url(loaded(monkeypatch, DAGSTER_POSTGRES_URL=named).dagster_url() or "").query
    assert options == {"options": "-csearch_path=public"}
    monkeypatch.delenv("DAGSTER_POSTGRES_URL")
    assert load_settings().dagster_url() is None


def test_dagster_s_own_database_keeps_the_schema_and_options_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = "postgres://dagster:pw@other/dagster?options=-csearch_path%3Druns%20-cjit%3Doff"
    settings = loaded(monkeypatch, DAGSTER_POSTGRES_URL=given)

    url = make_url(settings.dagster_url() or "")

    assert url.query == {"options": "-cjit=off -csearch_path=runs"}


def test_an_unknown_parameter_is_refused_with_what_to_write() -> None:
    [problem] = problems(PIMS_DATABASE_URL=f"{DATABASE}&connection_limit=1", ENCRYPTION_KEY=KEY)

    assert problem.startswith("PIMS_DATABASE_URL must be a PostgreSQL address such as ")
    assert "it has the parameter connection_limit; remove it" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DAGSTER_GRAPHQL_URL", "https://me:hunter/2@dagster.example/graphql"),
        ("DAGSTER_GRAPHQL_URL", "https://me:hunter@2@dagster.example/graphql"),
        ("AXIOM_URL", "https://me:hunter2@axiom.example"),
        ("PIMS_CORS_ORIGINS", "https://me:hunter2@app.example"),
    ],
)
def test_a_web_address_that_may_show_a_password_is_refused(variable: str, value: str) -> None:
    [problem] = problems(**{variable: value})

    assert problem.startswith(f"{variable} must be ")
    assert "hunter" not in problem


def test_settings_are_printed_as_names_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(
        monkeypatch,
        DAGSTER_GRAPHQL_URL="https://me:hunter2@dagster.example",
        SLACK_BOT_TOKEN=SLACK_TOKEN,
        SLACK_CHANNEL="hunter2-in-the-wrong-place",
    )

    assert repr(settings) == ("Settings(DAGSTER_GRAPHQL_URL, SLACK_BOT_TOKEN, SLACK_CHANNEL)")
    assert str(settings) == repr(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PIMS_DATABASE_URL", "mysql://root:hunter2@db/pims"),
        ("PIMS_DATABASE_URL", "sqlite:///pims.db"),
        ("PIMS_DATABASE_URL", "postgresql://"),
        ("DAGSTER_POSTGRES_URL", "db.example/pims"),
        ("DAGSTER_GRAPHQL_URL", "dagster.example"),
        ("DAGSTER_GRAPHQL_URL", "ftp://dagster.example"),
        ("DAGSTER_GRAPHQL_URL", "http://"),
        ("DAGSTER_GRAPHQL_URL", "http://dagster.example:many"),
        ("ENCRYPTION_KEY", "not a key at all"),
        ("ENCRYPTION_KEY", base64.b64encode(bytes(16)).decode()),
        ("ENCRYPTION_KEYS_RETIRED", f"{KEY},short"),
        ("PIMS_PARTITION_START", "yesterday"),
        ("PIMS_PARTITION_START", "01/02/2025"),
        ("PIMS_PARTITION_START", (datetime.now(UTC).date() + timedelta(days=2)).isoformat()),
        ("PIMS_CHROMIUM_PATH", "nowhere/chromium"),
        ("PIMS_BROWSER_HEADLESS", "perhaps"),
        ("PIMS_BROWSER_SANDBOX", "maybe"),
        ("PIMS_REQUESTS_PER_SECOND", "0"),
        ("PIMS_REQUESTS_PER_SECOND", "inf"),
        ("PIMS_CLINICS_AT_ONCE", "0"),
        ("PIMS_CLINICS_AT_ONCE", "2.5"),
        ("PIMS_DELETION_GUARD_MIN", "-1"),
        ("PIMS_DELETION_GUARD_PERCENT", "101"),
        ("PIMS_API_DATABASE_URL", "mysql://root:hunter2@db/pims"),
        ("PIMS_API_REQUESTS_PER_MINUTE", "0"),
        ("PIMS_METRICS_TOKEN", "short"),
        ("PIMS_METRICS_TOKEN", "two words are not one token"),
        ("PIMS_TRUSTED_PROXIES", "10.0.0.1,everyone"),
        ("PIMS_CORS_ORIGINS", "*"),
        ("PIMS_CORS_ORIGINS", "https://app.example/path"),
        ("PIMS_CLINICS_PER_RUN", "0"),
        ("PIMS_RETENTION_DAYS", "59"),
        ("SLACK_BOT_TOKEN", "xoxp-0123456789-0123456789"),
        ("AXIOM_TOKEN", "xapt-0123456789-0123456789"),
        ("AXIOM_URL", "axiom.example"),
        ("LOG_LEVEL", "chatty"),
        ("LOG_FORMAT", "yaml"),
    ],
)
def test_a_wrong_value_gives_one_line_that_names_its_variable(variable: str, value: str) -> None:
    needed = {"ENCRYPTION_KEY": KEY} if variable == "PIMS_DATABASE_URL" else {}

    [problem] = problems(**{variable: value, **needed})

    assert problem.startswith(f"{variable} must be ")


@pytest.mark.parametrize(
    ("variable", "value"), [("SLACK_BOT_TOKEN", "xoxb-1"), ("AXIOM_TOKEN", "xaat-1")]
)
def test_a_token_that_is_too_short_names_its_least_length(variable: str, value: str) -> None:
    [problem] = problems(**{variable: value})

    assert "of 16 characters or more, which begins with" in problem


def test_every_wrong_variable_gets_its_own_line() -> None:
    lines = problems(PIMS_CLINICS_AT_ONCE="many", LOG_FORMAT="yaml", ENCRYPTION_KEY="x" * 40)

    assert {line.split()[0] for line in lines} == {
        "PIMS_CLINICS_AT_ONCE",
        "LOG_FORMAT",
        "ENCRYPTION_KEY",
    }


def test_an_external_database_without_a_key_is_refused_with_how_to_make_one() -> None:
    [problem] = problems(PIMS_DATABASE_URL=DATABASE)

    assert problem.startswith("ENCRYPTION_KEY must be set when PIMS_DATABASE_URL is")
    assert "openssl rand -base64 32" in problem


@pytest.mark.parametrize(
    ("present", "value", "missing"),
    [
        ("SLACK_BOT_TOKEN", SLACK_TOKEN, "SLACK_CHANNEL"),
        ("SLACK_CHANNEL", "C0123456789", "SLACK_BOT_TOKEN"),
        ("AXIOM_TOKEN", AXIOM_TOKEN, "AXIOM_DATASET"),
        ("AXIOM_DATASET", "pims", "AXIOM_TOKEN"),
    ],
)
def test_a_service_with_half_its_variables_is_refused(
    present: str, value: str, missing: str
) -> None:
    assert problems(**{present: value}) == (f"{missing} must be set when {present} is",)


@pytest.mark.parametrize("variable", sorted(variable_names().values()))
def test_no_traceback_repeats_a_wrong_value(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "hunter2")
    try:
        load_settings()
    except SettingsError as error:
        trace = "".join(traceback.format_exception(error))
        assert "hunter2" not in trace
        assert variable in trace
    else:
        # Any text is a valid directory or password, any word a valid host or schema.
        assert variable in {
            "PIMS_HOME",
            "PIMS_ALLOWED_HOSTS",
            "PIMS_DATABASE_SCHEMA",
            "IDEXX_ENCRYPTION_KEY",
        }


def test_a_basic_iso_date_is_a_date_and_not_a_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert loaded(monkeypatch, PIMS_PARTITION_START="20250301").partition_start == date(2025, 3, 1)


def test_no_secret_is_printed_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(
        monkeypatch,
        PIMS_DATABASE_URL=DATABASE,
        DAGSTER_POSTGRES_URL=DATABASE,
        ENCRYPTION_KEY=KEY,
        ENCRYPTION_KEYS_RETIRED=OLD_KEY,
        PIMS_API_DATABASE_URL=DATABASE,
        PIMS_METRICS_TOKEN=METRICS_TOKEN,
        SLACK_BOT_TOKEN=SLACK_TOKEN,
        SLACK_CHANNEL="C0123456789",
        AXIOM_TOKEN=AXIOM_TOKEN,
        AXIOM_DATASET="pims",
    )

    for printed in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in printed
        assert KEY not in printed
        assert OLD_KEY not in printed
