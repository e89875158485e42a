"""``pims doctor``: a table, JSON and an exit status, whatever state the installation is in."""

import json
import re
import time
from pathlib import Path

import pytest
from click.testing import Result
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import Engine

from pims_pipeline.diagnosis.checks import CHECKS, NAMES
from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline_tests.cli.invocation import KEY, PASSWORD, Pims, error_line

ROOT = Path(__file__).parents[3]
QUICK = ("--skip=browser", "--skip=dagster")


def checks_of(result: Result) -> dict[str, str]:
    """The status of each check of a JSON document, by name."""
    return {each["name"]: each["status"] for each in json.loads(result.stdout)["checks"]}


@pytest.mark.usefixtures("ready")
def test_a_sound_installation_has_status_0(pims: Pims) -> None:
    done = pims("doctor", *QUICK, "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["ok"] is True
    assert checks_of(done) == dict.fromkeys(
        ("settings", "database", "migrations", "keys", "vendors", "storage", "disk"), "ok"
    ) | {"api": "skipped"}


@pytest.mark.usefixtures("ready")
def test_the_table_shows_no_secret(pims: Pims) -> None:
    done = pims("doctor", *QUICK)

    assert done.exit_code == 0, done.output
    assert "1 login decrypted" in done.stdout
    assert PASSWORD not in done.output
    assert KEY not in done.output


def test_wrong_settings_are_listed_and_nothing_else_is_checked(pims: Pims) -> None:
    done = pims("doctor", "--json", LOG_LEVEL="loud", ENCRYPTION_KEY="hunter2")

    assert done.exit_code == 1
    found = checks_of(done)
    assert found.pop("settings") == "failed"
    assert set(found.values()) == {"skipped"}
    texts = [each["found"] for each in json.loads(done.stdout)["checks"][0]["findings"]]
    assert [text.partition(" ")[0] for text in texts] == ["ENCRYPTION_KEY", "LOG_LEVEL"]
    assert "hunter2" not in done.output


@pytest.mark.usefixtures("ready")
def test_a_secret_in_a_file_is_read_and_its_rights_are_checked(pims: Pims, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    done = pims(
        "doctor", "--only=keys", "--json", ENCRYPTION_KEY=None, ENCRYPTION_KEY_FILE=str(file)
    )

    assert done.exit_code == 0, done.output
    assert checks_of(done) == {"settings": "warning", "keys": "ok"}
    [finding] = json.loads(done.stdout)["checks"][0]["findings"]
    assert finding["found"].startswith("the file of ENCRYPTION_KEY_FILE may be read by every user")


def test_a_failed_check_makes_status_1_and_its_name_is_in_the_error(
    pims: Pims, empty_database_url: str
) -> None:
    done = pims("doctor", *QUICK, PIMS_DATABASE_URL=empty_database_url)

    assert done.exit_code == 1
    assert error_line(done).startswith("Error: migrations failed;")
    assert "run `pims migrate`" in done.stdout


def test_only_and_skip_choose_the_checks(pims: Pims) -> None:
    only = pims("doctor", "--only=disk", "--only=database", "--json")
    both = pims("doctor", "--only=disk", "--only=database", "--skip=disk", "--json")

    assert list(checks_of(only)) == ["settings", "database", "disk"]
    assert list(checks_of(both)) == ["settings", "database"]


def test_an_unknown_check_is_misuse(pims: Pims) -> None:
    done = pims("doctor", "--only=weather")

    assert done.exit_code == 2
    assert "'database'" in error_line(done)


def test_without_a_database_nothing_is_created(pims: Pims, tmp_path: Path) -> None:
    home = tmp_path / "untouched"
    done = pims(
        "doctor", "--json", PIMS_DATABASE_URL=None, ENCRYPTION_KEY=None, PIMS_HOME=str(home)
    )

    assert done.exit_code == 0, done.output
    assert checks_of(done)["database"] == "warning"
    assert not home.exists()


@pytest.mark.parametrize(("age", "status"), [(10.0, "ok"), (10_000.0, "warning")])
def test_the_daemon_s_heartbeat_is_read_from_dagster_s_storage(
    pims: Pims, database_url: str, age: float, status: str
) -> None:
    storage = PooledPostgresStorage(dagster_storage_url(database_url))
    heartbeat = DaemonHeartbeat(time.time() - age, "SENSOR", None, None)
    storage.run_storage.add_daemon_heartbeat(heartbeat)
    done = pims("doctor", "--only=dagster", "--json")

    assert done.exit_code == 0, done.output
    assert checks_of(done)["dagster"] == status


def test_the_host_of_the_api_has_its_login_alone(pims: Pims, engine: Engine) -> None:
    done = pims(
        "doctor",
        "--skip=dagster",
        "--json",
        PIMS_DATABASE_URL=None,
        ENCRYPTION_KEY=None,
        PIMS_API_DATABASE_URL=let_api_log_in(engine),
    )

    assert done.exit_code == 0, done.output
    found = checks_of(done)
    assert (found["database"], found["api"]) == ("skipped", "ok")


def test_the_document_describes_each_check_and_no_other() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")

    assert tuple(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == NAMES


def test_the_document_has_each_timeout() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| \[(\w+)\]\(#\w+\) \|.*\| (\d+) s \|$", text, re.MULTILINE))

    assert stated == {each.name: f"{each.seconds:g}" for each in CHECKS}
