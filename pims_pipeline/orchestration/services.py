"""Dagster's processes on one machine: what has to exist before they start, and their programs.

The webserver has a module of its own, ``ui_server``. Which process is started when, and with
which secrets, is decided by ``pims up``.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from pims_pipeline.dagster_names import DEFINITIONS_ATTRIBUTE, DEFINITIONS_MODULE, LOCATION
from pims_pipeline.orchestration._dagster_private import DAEMON_MODULE, ping_code_server
from pims_pipeline.orchestration.instance import dagster_environment, open_instance
from pims_pipeline.orchestration.partitions import in_order_of_registration, register_clinics
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database.engine import transaction


@dataclass(frozen=True, slots=True)
class DagsterServices:
    """How Dagster's processes are started.

    Attributes:
        environment: Variables that all of them need; holds a password.
        workspace: The file that names the code server to the webserver and the daemon.
        code_server: The program that loads our code location once, for both. Runs are its
            children. It answers at a Unix socket, which no web page can reach.
        daemon: The program of sensors, schedules and the queue of runs.
    """

    environment: Mapping[str, str] = field(repr=False)
    workspace: Path
    code_server: Sequence[str]
    daemon: Sequence[str]


def prepare_services(
    engine: Engine, home: Path, storage_url: str, code_socket: Path
) -> DagsterServices:
    """Make Dagster's own tables, the clinics' partitions and the workspace file.

    One process does so before several use them.

    Args:
        engine: The database of cases.
        home: The program's home directory.
        storage_url: The address of Dagster's own storage, on psycopg2; a secret.
        code_socket: Where the code server is to answer.
    """
    with transaction(engine) as connection:
        clinics = active_clinics(connection)
    with open_instance(home, storage_url) as instance:
        register_clinics(instance, in_order_of_registration(clinics))
    environment = dagster_environment(home, storage_url)
    workspace = _write_workspace(Path(environment["DAGSTER_HOME"]), code_socket)
    return DagsterServices(
        environment=environment,
        workspace=workspace,
        code_server=_code_server_command(code_socket),
        daemon=[sys.executable, "-m", DAEMON_MODULE, "run", "-w", str(workspace)],
    )


def code_server_responds(socket: Path) -> bool:
    """Whether the code server has come up."""
    if not socket.exists():
        return False
    try:
        ping_code_server(socket)
    except Exception:  # noqa: BLE001 - whatever it is, the server does not answer yet
        return False
    return True


def _code_server_command(socket: Path) -> list[str]:
    return [
        sys.executable,
        *("-m", "dagster", "api", "grpc"),
        *("--socket", str(socket)),
        *("--module-name", DEFINITIONS_MODULE),
        *("--attribute", DEFINITIONS_ATTRIBUTE),
        *("--location-name", LOCATION),
        "--use-python-environment-entry-point",
    ]


def _write_workspace(directory: Path, socket: Path) -> Path:
    """Write the file that names the code server to the webserver and the daemon."""
    file = directory / "workspace.yaml"
    file.write_text(
        f'load_from:\n  - grpc_server:\n      socket: "{socket}"\n      location_name: {LOCATION}\n'
    )
    return file
