"""The commands and the environment of Dagster's processes on one machine.

``pims up`` decides when each process starts, and with which secrets. It imports this module without
Dagster, which would cost it seconds and 100 MB. What the process of the Dagster UI and the daemon
does is in ``ui_server``.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pims_pipeline.dagster_names import DEFINITIONS_ATTRIBUTE, DEFINITIONS_MODULE, LOCATION
from pims_pipeline.orchestration.instance import dagster_environment

_CODE_SERVER = "from pims_pipeline.orchestration.code_server.main import main; main()"


@dataclass(frozen=True, slots=True)
class DagsterServices:
    """How to start Dagster's processes.

    Attributes:
        environment: Variables that all processes need; holds a password.
        workspace: The file that names the code server to the Dagster UI and the daemon.
        code_server: The command that loads the code location, for both, and starts runs. It
            listens at a Unix socket, which no web page can reach.
    """

    environment: Mapping[str, str] = field(repr=False)
    workspace: Path
    code_server: Sequence[str]


def dagster_services(home: Path, storage_url: str, code_socket: Path) -> DagsterServices:
    """Return how to start them, and write the workspace file.

    Args:
        home: The program's home directory.
        storage_url: The address of Dagster's own storage, on psycopg2; a secret.
        code_socket: The Unix socket at which the code server will listen.
    """
    environment = dagster_environment(home, storage_url)
    return DagsterServices(
        environment=environment,
        workspace=_write_workspace(Path(environment["DAGSTER_HOME"]), code_socket),
        code_server=_code_server_command(code_socket),
    )


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
    """Write the file that names the code server to the Dagster UI and the daemon."""
    file = directory / "workspace.yaml"
    file.write_text(
        f'load_from:\n  - grpc_server:\n      socket: "{socket}"\n      location_name: {LOCATION}\n'
    )
    return file
