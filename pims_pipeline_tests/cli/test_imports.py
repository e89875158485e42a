"""A command imports only what it needs: imports are most of the time of a short command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pims_pipeline.cli import main as entry
from pims_pipeline.cli.main import COMMANDS, main
from pims_pipeline.settings import variable_names
from pims_pipeline_tests.cli.invocation import KEY
from pims_pipeline_tests.cli.test_main import commands_of

PROGRAM = Path(__file__).with_name("loaded_packages.py")
NEEDED_BY_ALL = {
    # The settings.
    *{"annotated_types", "dotenv", "pydantic", "pydantic_core", "pydantic_settings"},
    *{"typing_extensions", "typing_inspection"},
    # The database.
    *{"greenlet", "psycopg", "psycopg_binary", "sqlalchemy"},
    # The terminal, and the logs: structlog imports Pygments through rich.
    *{"click", "pygments", "rich", "structlog"},
    # Only in development, where `dg` needs it: rich imports it if it is installed.
    "attr",
}
HEAVY = {
    *{"alembic", "cryptography", "dagster", "fastapi", "graphql", "httpx2", "jinja2"},
    *{"matplotlib", "numpy", "pandas", "playwright", "psycopg2", "slack_sdk", "uvicorn"},
}
HEAVY_OF = {
    "demo": {"alembic", "fastapi", "graphql", "httpx2", "jinja2", "uvicorn"},
    "up": {"alembic", "httpx2"},
    "serve": {"fastapi", "httpx2", "jinja2", "uvicorn"},
    "migrate": {"alembic"},
    "simulate": {"fastapi", "graphql", "jinja2", "uvicorn"},
    "adopt": {"cryptography"},
    "doctor": {"httpx2"},
    "webhooks": {"httpx2"},
}
"""What commands load of ``HEAVY`` before they start to work; the others load none."""


def loaded_by(*commands: str, **env: str) -> list[set[str]]:
    """The third-party packages that each of the commands loads."""
    kept = {name: os.environ[name] for name in os.environ.keys() - set(variable_names().values())}
    done = subprocess.run(  # noqa: S603 - this interpreter, our own program
        [sys.executable, PROGRAM, *commands],
        env={**kept, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line)) for line in done.stdout.splitlines()]


def test_the_status_and_the_list_of_cases_load_only_what_they_need(
    database_url: str, registered: str, tmp_path: Path
) -> None:
    status, cases = loaded_by(
        "status",
        f"cases list --clinic {registered}",
        PIMS_DATABASE_URL=database_url,
        ENCRYPTION_KEY=KEY,
        PIMS_HOME=str(tmp_path),
    )

    # Schedules are read with cronsim; stamina, and tenacity below it, repeat transactions.
    assert status - NEEDED_BY_ALL == {"cronsim", "stamina", "tenacity"}
    assert cases - NEEDED_BY_ALL == set()


def test_no_command_loads_a_heavy_package_that_it_does_not_need() -> None:
    helps = [f"{next(commands_of(name))[0]} --help" for name in COMMANDS]
    heavy = [each & HEAVY for each in loaded_by(*helps)]

    assert dict(zip(COMMANDS, heavy, strict=True)) == {
        name: HEAVY_OF.get(name, set()) for name in COMMANDS
    }


def test_completing_the_name_of_a_command_imports_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(entry, "_imported", refuse)
    context = click.Context(main)
    found = {item.value: item.help for item in main.shell_complete(context, "s")}

    assert found == {name: COMMANDS[name].help for name in COMMANDS if name.startswith("s")}
    assert [item.value for item in main.shell_complete(context, "--v")] == ["--version"]
