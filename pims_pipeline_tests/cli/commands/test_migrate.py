"""``pims migrate``, and the error of the other commands before it has run."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pims_pipeline.settings import variable_names
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline_tests.cli.invocation import Pims, document, error_line
from pims_pipeline_tests.store.database.revisions import REVISIONS


def test_an_empty_database_gets_its_tables_once(pims: Pims, empty_database_url: str) -> None:
    first = document(pims("migrate", "--json", PIMS_DATABASE_URL=empty_database_url))
    again = document(pims("migrate", "--json", PIMS_DATABASE_URL=empty_database_url))

    assert first["applied"] == REVISIONS
    assert again == {"applied": []}
    assert pims("status", PIMS_DATABASE_URL=empty_database_url).exit_code == 0


def test_a_database_from_between_the_former_revisions_says_what_to_do(
    pims: Pims, empty_database_url: str
) -> None:
    engine = create_engine(empty_database_url)
    with transaction(engine) as connection:
        connection.execute(text("CREATE TABLE pims_alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO pims_alembic_version VALUES ('0007')"))
    engine.dispose()
    done = pims("migrate", PIMS_DATABASE_URL=empty_database_url)

    assert done.exit_code == 1
    assert "revision 0007" in error_line(done)
    assert "migrate it to 0012" in error_line(done)
    assert "or start with an empty database" in error_line(done)


@pytest.mark.parametrize(
    "args",
    [
        ["status"],
        ["clinics", "list"],
        ["clinics", "deactivate", "riverbend"],
        ["cases", "list", "--clinic=riverbend"],
        ["sync", "full", "--clinic=riverbend"],
        ["credentials", "check", "riverbend"],
    ],
    ids=" ".join,
)
def test_other_commands_ask_for_it_first(
    pims: Pims, empty_database_url: str, args: list[str]
) -> None:
    done = pims(*args, PIMS_DATABASE_URL=empty_database_url)

    assert done.exit_code == 1
    assert "run `pims migrate`" in error_line(done)


def test_without_a_database_url_an_embedded_one_is_made_with_a_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # In another process: the server stops with the last process that uses it.
    environment = {
        name: value for name, value in os.environ.items() if name not in variable_names().values()
    }
    done = [
        subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
            [sys.executable, "-c", "from pims_pipeline.cli.main import main; main()", *args],
            env={**environment, "PIMS_HOME": str(home), "LOG_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
            check=False,
        )
        for args in (["status"], ["migrate"], ["clinics", "list"])
    ]

    assert [each.returncode for each in done] == [1, 0, 0], [each.stderr for each in done]
    assert "run `pims migrate`" in done[0].stderr
    assert stat.S_IMODE((home / "encryption.key").stat().st_mode) == 0o600
    assert not (home / "postgres" / "postmaster.pid").exists()
