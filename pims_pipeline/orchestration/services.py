"""The commands and the environment of Dagster's processes.

``pims up`` decides when each process of its machine starts, and with which secrets; ``pims part``
starts one of them where an orchestrator starts the others. Both import this module without
Dagster, which would cost them seconds and 100 MB. What the processes of the Dagster UI and the
daemon do is in ``ui_server`` and ``parts``.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pims_pipeline.dagster_names import DEFINITIONS_ATTRIBUTE, DEFINITIONS_MODULE, LOCATION
from pims_pipeline.orchestration.instance import dagster_environment

_CODE_SERVER = "from pims_pipeline.orchestration.code_server.main import main; main()"
_CODE_SERVER_WITH_RUNS = (
    "from pims_pipeline.orchestration.code_server.main import main; main(ends_runs=True)"
)


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
        workspace=_write_workspace(
            Path(environment["DAGSTER_HOME"]) / "workspace.yaml", f'socket: "{code_socket}"'
        ),
        code_server=_code_server_command("--socket", str(code_socket)),
    )


def code_server_command(host: str, port: int) -> list[str]:
    """The command of a code server that other machines reach; its runs end with it."""
    address = ("--host", host, "--port", str(port))
    return _code_server_command(*address, program=_CODE_SERVER_WITH_RUNS)


def remote_workspace(file: Path, host: str, port: int) -> Path:
    """Write the workspace file of a code server at this address; returns ``file``."""
    return _write_workspace(file, f'host: "{host}"\n      port: {port}')


def _code_server_command(*address: str, program: str = _CODE_SERVER) -> list[str]:
    return [
        sys.executable,
        *("-c", program),
        *address,
        *("--module-name", DEFINITIONS_MODULE),
        *("--attribute", DEFINITIONS_ATTRIBUTE),
        *("--location-name", LOCATION),
        "--use-python-environment-entry-point",
    ]


def _write_workspace(file: Path, address: str) -> Path:
    """Write the file that names the code server to the Dagster UI and the daemon."""
    file.write_text(
        f"load_from:\n  - grpc_server:\n      {address}\n      location_name: {LOCATION}\n"
    )
    return file
