"""The process of ``pims up`` that serves the Dagster UI, and runs Dagster's daemon.

``BrowserGuard`` is around the UI. ``command`` starts the process and passes everything as
arguments: it has no encryption key, and no database URL but that of Dagster's storage.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pims_pipeline.local_trust.origins import own_addresses
from pims_pipeline.local_trust.private_files import keep_files_private

_PROGRAM = "from pims_pipeline.cli.up.dagster_process import main; main()"


class RuntimeFiles(NamedTuple):
    """The files by which the processes of one ``pims up`` find each other.

    Attributes:
        directory: Private, and under the system's directory for temporary files: a socket's path
            must be short.
    """

    directory: Path

    @property
    def clinics(self) -> Path:
        """The slugs of the clinics that get partitions, in this order."""
        return self.directory / "clinics"

    @property
    def prepared(self) -> Path:
        """Created when the Dagster instance has its tables and partitions."""
        return self.directory / "prepared"

    @property
    def code_socket(self) -> Path:
        """The socket of the code server."""
        return self.directory / "code.sock"

    @property
    def code_asked(self) -> Path:
        """Touched whenever the code server is checked."""
        return self.directory / "code.asked"

    @property
    def code_seen(self) -> Path:
        """Touched whenever the code server responds to a check."""
        return self.directory / "code.seen"


def dagster_command(
    host: str,
    port: int,
    *,
    workspace: Path,
    names: Iterable[str],
    files: RuntimeFiles,
) -> list[str]:
    """The command line of the process.

    Args:
        host: The host to listen on.
        port: The port to listen on.
        workspace: The workspace file, which names the code location.
        names: Further host names by which clients reach it.
        files: Where the processes find each other.
    """
    return [
        *(sys.executable, "-c", _PROGRAM),
        *(f"--host={host}", f"--port={port}", f"--workspace={workspace}"),
        f"--files={files.directory}",
        *(f"--name={name}" for name in names),
    ]


def main() -> None:
    """Prepare the instance, then serve the Dagster UI and run the daemon until a signal."""
    from pims_pipeline.local_trust.browser_guard import (  # noqa: PLC0415 - for this process only
        BrowserGuard,
    )
    from pims_pipeline.orchestration.ui_server import (  # noqa: PLC0415 - as above
        CodeServer,
        prepare_instance,
        serve_ui,
    )

    parser = argparse.ArgumentParser(description="Serves the Dagster UI for pims up.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--workspace", required=True, type=Path)
    parser.add_argument("--files", required=True, type=Path)
    parser.add_argument("--name", action="append", default=[])
    given = parser.parse_args()
    files = RuntimeFiles(given.files)
    keep_files_private()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    own = own_addresses(given.host, given.port, given.name)
    try:
        prepare_instance(files.clinics.read_text().split())
        files.prepared.touch()
        code_server = CodeServer(files.code_socket, files.code_asked, files.code_seen)
        serve_ui(
            given.workspace, code_server, given.host, given.port, lambda app: BrowserGuard(app, own)
        )
    except KeyboardInterrupt:
        # Ctrl-C is the normal end. A thread of the daemon may wait for a sensor, whose code server
        # is stopped after this process: the interpreter would wait for that thread.
        _end_at_once()


def _end_at_once() -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)
