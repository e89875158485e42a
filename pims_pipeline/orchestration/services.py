"""The commands and the environment of Dagster's processes on one machine.

``pims up`` decides when each process starts, and with which secrets. The webserver is in
``ui_server``.
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

_CODE_SERVER = "from pims_pipeline.orchestration.code_server.main import main; main()"


@dataclass(frozen=True, slots=True)
class DagsterServices:
    """How to start Dagster's processes.

    Attributes:
        environment: Variables that all processes need; holds a password.
        workspace: The file that names the code server to the webserver and the daemon.
        code_server: The command that loads the code location, for both, and starts runs. It
            listens at a Unix socket, which no web page can reach.
        daemon: The command that runs sensors, schedules and the queue of runs.
    """

    environment: Mapping[str, str] = field(repr=False)
    workspace: Path
    code_server: Sequence[str]
    daemon: Sequence[str]


def prepare_services(
    engine: Engine, home: Path, storage_url: str, code_socket: Path
) -> DagsterServices:
    """Create Dagster's tables, the clinics' partitions and the workspace file.

    Call it once, before the processes start.

    Args:
        engine: The database of cases.
        home: The program's home directory.
        storage_url: The address of Dagster's own storage, on psycopg2; a secret.
        code_socket: The Unix socket at which the code server will listen.
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
    """Whether the code server at the socket responds."""
    if not socket.exists():
        return False
    try:
        ping_code_server(socket)
    except Exception:  # noqa: BLE001 - any error means that the server is not up yet
        return False
    return True


def _code_server_command(socket: Path) -> list[str]:
    return [
        sys.executable,
        *("-c", _CODE_SERVER),
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
