"""Secrets in files: which variables have one, and what is said about a file that cannot be used."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pims_pipeline.cli.up.environment import api_environment, code_server_environment
from pims_pipeline.composition import warn_of_exposed_files
from pims_pipeline.setting_files import read_secret_files, without_replaced_files
from pims_pipeline.settings import (
    SettingsError,
    environment_value,
    load_settings,
    secret_variable_names,
    variable_names,
)
from pims_pipeline_tests.test_settings import AXIOM_TOKEN, DATABASE, KEY, METRICS_TOKEN, OLD_KEY

Write = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def _no_variable_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variable_names().values():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


@pytest.fixture
def secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the file of a secret, and sets the variable that names it."""

    def write(name: str, content: str) -> str:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        monkeypatch.setenv(f"{name}_FILE", str(path))
        return str(path)

    return write


def problems() -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return caught.value.problems


def test_every_secret_setting_may_be_in_a_file(secret_file: Write) -> None:
    secret_file("PIMS_DATABASE_URL", f"{DATABASE}\n")
    secret_file("DAGSTER_POSTGRES_URL", DATABASE)
    secret_file("PIMS_API_DATABASE_URL", f"  {DATABASE}\r\n")
    secret_file("ENCRYPTION_KEY", f"{KEY}\n")
    secret_file("ENCRYPTION_KEYS_RETIRED", f"{OLD_KEY},\n{KEY}\n")
    secret_file("PIMS_METRICS_TOKEN", f"\ufeff{METRICS_TOKEN}\n")
    secret_file("DAGSTER_GRAPHQL_URL", "http://user:hunter2@dagster.example/graphql\n")

    found = load_settings()

    assert found.database_url is not None
    assert found.database_url.get_secret_value() == DATABASE
    assert found.dagster_postgres_url == found.api_database_url == found.database_url
    assert len(found.retired_key_bytes()) == 2
    assert found.metrics_token is not None
    assert found.metrics_token.get_secret_value() == METRICS_TOKEN
    assert found.dagster_ui_url() == "http://dagster.example"
    assert "hunter2" not in repr(found)


def test_a_file_of_the_former_service_counts_while_ours_is_unset(secret_file: Write) -> None:
    secret_file("SUPABASE_DB_URL", DATABASE)
    secret_file("ENCRYPTION_KEY", KEY)

    found = load_settings()

    assert found.database_url is not None
    assert found.database_url.get_secret_value() == DATABASE


def test_a_wrong_file_and_wrong_values_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIMS_DATABASE_URL", DATABASE)
    monkeypatch.setenv("ENCRYPTION_KEY_FILE", str(tmp_path / "missing"))
    # It is required with the database: no second line says so.
    assert [each.split()[0] for each in problems()] == ["ENCRYPTION_KEY_FILE"]

    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert [each.split()[0] for each in problems()] == ["ENCRYPTION_KEY_FILE", "LOG_LEVEL"]


def test_a_secret_that_one_command_reads_may_be_in_a_file(secret_file: Write) -> None:
    secret_file("IDEXX_ENCRYPTION_KEY_CLINIC7", "hunter2\n")

    assert environment_value("IDEXX_ENCRYPTION_KEY_CLINIC7") == "hunter2"


@pytest.mark.parametrize("name", ["LOG_LEVEL", "PIMS_HOME"])
def test_a_setting_that_is_no_secret_has_no_file(name: str, secret_file: Write) -> None:
    default = load_settings()
    secret_file(name, "hunter2")

    assert load_settings() == default


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"\xff\xfe\x00", "the file is not UTF-8 text"),
        (b"a\0b", "the file is not UTF-8 text"),
        (b"a" * 65_537, "the file has more than 65536 bytes"),
    ],
)
def test_a_file_without_a_secret_is_refused_by_its_variable(
    content: bytes, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    monkeypatch.setenv("ENCRYPTION_KEY_FILE", str(path))

    [found] = problems()

    assert found == (
        "ENCRYPTION_KEY_FILE must be the path of a file that holds the value of ENCRYPTION_KEY; "
        f"{problem}"
    )


def test_a_missing_file_and_a_directory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY_FILE", str(tmp_path / "hunter2"))
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(tmp_path))

    [missing, directory] = problems()

    assert missing.endswith("the file does not exist")
    assert "hunter2" not in missing
    assert directory.startswith("SLACK_BOT_TOKEN_FILE must be the path of a file")
    assert directory.endswith("the file is not a regular file")


def test_a_pipe_is_refused_without_waiting_for_what_it_would_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("ENCRYPTION_KEY_FILE", str(tmp_path / "pipe"))

    [problem] = problems()

    assert problem.endswith("the file is not a regular file")


def test_a_variable_and_its_file_contradict_each_other(
    secret_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file("ENCRYPTION_KEY", KEY)
    monkeypatch.setenv("ENCRYPTION_KEY", KEY)

    assert problems() == (
        "ENCRYPTION_KEY and ENCRYPTION_KEY_FILE are both set; remove one of them",
    )


def test_a_wrong_value_names_the_variable_of_its_file(secret_file: Write) -> None:
    path = secret_file("ENCRYPTION_KEY", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    trace = "".join(traceback.format_exception(caught.value))

    assert "ENCRYPTION_KEY_FILE must hold 32 random bytes in base64" in trace
    assert "hunter2" not in trace
    assert path not in trace


def test_an_empty_variable_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    default = load_settings()
    for name in secret_variable_names():
        monkeypatch.setenv(f"{name}_FILE", "")

    assert load_settings() == default


def test_a_file_that_every_user_may_read_is_warned_about(
    secret_file: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path(secret_file("PIMS_METRICS_TOKEN", METRICS_TOKEN)).chmod(0o644)
    Path(secret_file("SLACK_BOT_TOKEN", "xoxb-hunter2-0123456789")).chmod(0o640)
    monkeypatch.setenv("SLACK_CHANNEL", "C0123456789")

    load_settings()
    with caplog.at_level("WARNING"):
        warn_of_exposed_files()

    [line] = caplog.messages
    assert "secret_file_readable_by_all" in line
    assert "PIMS_METRICS_TOKEN_FILE" in line
    assert METRICS_TOKEN not in line


def test_the_file_of_a_secret_reaches_the_processes_of_pims_up_that_need_it() -> None:
    files = {f"{name}_FILE": "x" for name in secret_variable_names()}

    code = code_server_environment(files, {"DAGSTER_POSTGRES_URL": "x"}, {})
    api = api_environment(files, {"PIMS_API_DATABASE_URL": "x"})

    assert {name for name in code if name.endswith("_FILE")} == {
        *("PIMS_DATABASE_URL_FILE", "SUPABASE_DB_URL_FILE", "ENCRYPTION_KEY_FILE"),
        *("ENCRYPTION_KEYS_RETIRED_FILE", "SLACK_BOT_TOKEN_FILE", "PIMS_HEARTBEAT_URL_FILE"),
        "AXIOM_TOKEN_FILE",
    }
    assert {name for name in api if name.endswith("_FILE")} == {
        *("PIMS_METRICS_TOKEN_FILE", "AXIOM_TOKEN_FILE")
    }


def test_a_value_replaces_the_file_of_the_same_variable() -> None:
    given_variables = {"A": "x", "A_FILE": "y", "B": "", "B_FILE": "z"}

    assert without_replaced_files(given_variables) == {"A": "x", "B": "", "B_FILE": "z"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_no_content_is_repeated_and_no_other_error_escapes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)

    found = read_secret_files(["KEY"], {"KEY_FILE": str(path)})

    assert len(found.values) + len(found.problems) == 1
    assert all(AXIOM_TOKEN not in each and str(path) not in each for each in found.problems)
