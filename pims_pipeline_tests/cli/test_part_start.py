"""``pims part start``: what it checks before which command, and what stops a start."""

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from pims_pipeline.cli.part.starting import CHECKS_OF, checks_before
from pims_pipeline.diagnosis.checks import NAMES
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.access import pims_credentials
from pims_pipeline_tests.cli.invocation import Pims

CODE_SERVER = ("pims", "part", "code-server", "--host=0.0.0.0")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would have taken this process's place."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(os, "execvp", lambda _program, words: commands.append(tuple(words)))
    return commands


def test_every_check_before_a_start_is_one_of_the_doctor_s() -> None:
    named = {each for checks in CHECKS_OF.values() for each in (*checks.needed, *checks.reported)}

    assert named <= set(NAMES)
    assert named.isdisjoint({"vendors", "browser", "dagster"})


@pytest.mark.parametrize(
    "words", ["pims migrate --dagster", "pims serve --help", "pims part check", "sh", "pims"]
)
def test_other_commands_start_unchecked(words: str) -> None:
    assert checks_before(words.split()) is None


@pytest.mark.usefixtures("ready")
def test_a_part_starts_in_place_with_its_own_options(
    pims: Pims, started: list[tuple[str, ...]]
) -> None:
    done = pims("part", "start", *CODE_SERVER)

    assert done.exit_code == 0, done.output
    assert started == [CODE_SERVER]
    assert done.output == ""


def test_a_database_that_is_not_migrated_stops_the_start(
    pims: Pims, empty_database_url: str, started: list[tuple[str, ...]]
) -> None:
    done = pims("part", "start", *CODE_SERVER, PIMS_DATABASE_URL=empty_database_url)

    assert done.exit_code == 1
    assert "migrations: failed: " in done.stderr
    assert "run `pims migrate`" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: not started, because of migrations:")
    assert started == []


def test_wrong_settings_stop_the_start_with_a_line_each(
    pims: Pims, started: list[tuple[str, ...]]
) -> None:
    done = pims("part", "start", *CODE_SERVER, LOG_LEVEL="loud", ENCRYPTION_KEY="hunter2")

    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert [line.split(" must ")[0] for line in lines[:-1]] == [
        "settings: failed: ENCRYPTION_KEY",
        "settings: failed: LOG_LEVEL",
    ]
    assert "hunter2" not in done.output
    assert started == []


@pytest.mark.usefixtures("ready")
def test_a_login_that_cannot_be_decrypted_is_shown_and_stops_its_clinic_alone(
    pims: Pims, engine: Engine, started: list[tuple[str, ...]]
) -> None:
    with transaction(engine) as connection:
        connection.execute(update(pims_credentials).values(encrypted_data=b"damaged"))
    done = pims("part", "start", *CODE_SERVER)

    assert done.exit_code == 0, done.output
    assert "keys: failed: 1 of 1 login is damaged" in done.stderr
    assert started == [CODE_SERVER]


def test_the_api_needs_its_own_login_alone(pims: Pims, started: list[tuple[str, ...]]) -> None:
    unreachable = "postgresql://pims:password-of-ours@127.0.0.1:1/pims"
    done = pims(
        *("part", "start", "pims", "serve"),
        PIMS_DATABASE_URL=None,
        ENCRYPTION_KEY=None,
        PIMS_API_DATABASE_URL=unreachable,
    )

    assert done.exit_code == 1
    assert "api: failed: cannot reach database" in done.stderr
    assert "password-of-ours" not in done.output
    assert started == []


def test_a_command_that_is_not_there_is_misuse(pims: Pims, tmp_path: Path) -> None:
    done = pims("part", "start", str(tmp_path / "missing"))

    assert done.exit_code == 2
    assert "no such file" in done.stderr
