"""Running ``pims`` in a test: its type, its login, and how to read its result."""

import base64
import json
import secrets
from typing import Any, Protocol

from click.testing import Result
from sqlalchemy import Engine, select

from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.all import metadata

KEY = base64.b64encode(secrets.token_bytes(32)).decode()
SLUG = "riverbend"
PASSWORD = "demo-1001"


class Pims(Protocol):
    """Runs a command; keyword arguments are environment variables, None unsets one."""

    def __call__(
        self, *args: str, typed: str | bytes | None = None, **env: str | None
    ) -> Result: ...


def store_login(pims: Pims, slug: str, password: str = PASSWORD) -> None:
    """Store the simulator's login."""
    done = pims(
        "credentials",
        "set",
        slug,
        "--company-id=1001",
        "--username=demo",
        "--password-stdin",
        typed=password,
    )
    assert done.exit_code == 0, done.output


def document(result: Result) -> Any:
    """The one JSON document on standard output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_line(result: Result) -> str:
    """The one line of a failed command on standard error."""
    assert result.exit_code in {1, 2}, result.output
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert len(lines) == 1, result.stderr
    return lines[0]


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all our tables, to check that nothing changed."""
    with transaction(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
