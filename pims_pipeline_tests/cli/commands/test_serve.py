"""``pims serve`` as a process: its settings, what it refuses, and its end."""

import re
import signal
import socket
from pathlib import Path
from subprocess import Popen

import httpx2
import pytest
from sqlalchemy import Engine

from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline_tests.cli.invocation import Pims, error_line
from pims_pipeline_tests.cli.processes import (
    TIMEOUT_SECONDS,
    interrupted,
    output_until,
    started,
)


def address(process: "Popen[str]") -> str:
    """The URL that it prints."""
    output = output_until(process, "Ctrl-C stops it.")
    found = re.search(r"REST API: (http://\S+)", output)
    assert found is not None
    assert f"{found[1]}/docs" in output
    return found[1]


def checks(url: str) -> dict[str, str]:
    """The statuses of its readiness checks."""
    response = httpx2.get(f"{url}/ready", trust_env=False, timeout=TIMEOUT_SECONDS).json()
    return {name: check["status"] for name, check in response["checks"].items()}


def test_its_own_login_is_enough(engine: Engine, tmp_path: Path) -> None:
    variables = {
        "PIMS_API_DATABASE_URL": let_api_log_in(engine),
        # Not the default port, where an installation on this machine may serve Dagster.
        "DAGSTER_GRAPHQL_URL": "http://127.0.0.1:9/graphql",
    }

    with started(tmp_path, "serve", "--port=0", **variables) as process:
        found = checks(address(process))
        status, _, err, alive = interrupted(process, signal.SIGTERM)

    assert found == {"database": "ok", "migrations": "ok", "dagster": "failed"}
    assert (status, alive) == (0, [])
    assert err.endswith("Stopped.\n")
    # No embedded database was started, and no key was made.
    assert list(tmp_path.iterdir()) == []


def test_a_database_elsewhere_needs_a_login_for_the_api(pims: Pims) -> None:
    message = error_line(pims("serve", "--port=0"))

    assert "PIMS_API_DATABASE_URL must be set when PIMS_DATABASE_URL is" in message
    assert "CREATE ROLE pims_api_login LOGIN PASSWORD '…' IN ROLE pims_api" in message


def test_the_owner_s_login_is_refused(pims: Pims, database_url: str) -> None:
    message = error_line(pims("serve", "--port=0", PIMS_API_DATABASE_URL=database_url))

    assert "PIMS_API_DATABASE_URL says what the API connects as" in message


def test_tables_must_be_up_to_date(pims: Pims, empty_database_url: str) -> None:
    message = error_line(pims("serve", "--port=0", PIMS_API_DATABASE_URL=empty_database_url))

    assert "run `pims migrate`" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_an_address_that_cannot_be_used_is_named(pims: Pims, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = error_line(pims("serve", f"--host={host}", f"--port={port}"))

    in_use = f"Error: port {port} on 127.0.0.1 cannot be used (address already in use): "
    assert message.startswith(
        (in_use, "Error: --host nowhere.invalid is not an address of this machine")
    )


def test_the_variables_of_the_v4_service_are_read_without_options(pims: Pims) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        in_use = error_line(pims("serve", PORT=str(port)))
        given = error_line(pims("serve", f"--port={port}", PORT="1"))
        elsewhere = pims("serve", "--port=0", HOST="nowhere.invalid")

    assert f"port {port} on 127.0.0.1 cannot be used" in in_use
    assert given == in_use
    assert "PORT" in error_line(pims("serve", PORT="http"))
    assert "nowhere.invalid comes from the variable HOST" in elsewhere.stderr
    assert "nowhere.invalid is not an address" in elsewhere.stderr


def test_there_is_no_option_for_workers_because_each_would_count_requests_alone(pims: Pims) -> None:
    done = pims("serve", "--workers=2")

    assert done.exit_code == 2
    assert "--workers" in error_line(done)
    api = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    assert "run one process" in " ".join(api.split())
