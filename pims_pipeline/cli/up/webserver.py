"""The process of ``pims up`` that serves the Dagster UI behind ``BrowserGuard``.

``command`` starts it and passes everything as arguments: it has no encryption key, and no
database URL but that of Dagster's storage.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from pims_pipeline.local_trust.browser_guard import BrowserGuard
from pims_pipeline.local_trust.origins import own_addresses
from pims_pipeline.local_trust.private_files import keep_files_private
from pims_pipeline.orchestration.ui_server import serve_ui

_PROGRAM = "from pims_pipeline.cli.up.webserver import main; main()"


def webserver_command(host: str, port: int, workspace: Path, names: Iterable[str]) -> list[str]:
    """The command line of the process.

    Args:
        host: The host to listen on.
        port: The port to listen on.
        workspace: The workspace file, which names the code location.
        names: Further host names by which clients reach it.
    """
    return [
        *(sys.executable, "-c", _PROGRAM),
        *(f"--host={host}", f"--port={port}", f"--workspace={workspace}"),
        *(f"--name={name}" for name in names),
    ]


def main() -> None:
    """Serve the Dagster UI until a signal."""
    parser = argparse.ArgumentParser(description="Serves the Dagster UI for pims up.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--workspace", required=True, type=Path)
    parser.add_argument("--name", action="append", default=[])
    given = parser.parse_args()
    keep_files_private()
    own = own_addresses(given.host, given.port, given.name)
    try:
        serve_ui(given.workspace, given.host, given.port, lambda app: BrowserGuard(app, own))
    except KeyboardInterrupt:
        # Ctrl-C is the normal end.
        sys.exit(0)
