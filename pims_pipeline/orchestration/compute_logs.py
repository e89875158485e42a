"""Stores the output of runs as Dagster does, and also prints it, without helper processes.

Dagster's own manager starts two processes for each stream (``tail`` and a watcher), which inherit
the run's environment and so the encryption key of the logins. Here a thread of the run prints the
output.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dagster import Field, StringSource

from pims_pipeline.orchestration._dagster_private import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    ConfigurableClassData,
    LocalComputeLogManager,
    redirect_to_file,
)

_INTERVAL_SECONDS = 0.2
_LAST_OUTPUT_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024
_DIRECTORY = "storage"


class InProcessComputeLogManager(LocalComputeLogManager):
    """Stores the output of runs under ``DAGSTER_HOME``; see ``dagster.yaml``."""

    @classmethod
    def config_type(cls) -> Mapping[str, Field]:
        """See Dagster."""
        return {"home": Field(StringSource)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "InProcessComputeLogManager":
        """See Dagster; the directory is the same as Dagster's."""
        directory = Path(config_value["home"]) / _DIRECTORY
        return cls(base_dir=str(directory), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """See Dagster."""
        out = self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[ComputeIOType.STDOUT])
        err = self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[ComputeIOType.STDERR])
        with _stored_and_printed(sys.stdout, out), _stored_and_printed(sys.stderr, err):
            yield CapturedLogContext(log_key)
        # Dagster reads the output as complete when this file exists.
        _touch(self.get_captured_local_path(log_key, "complete"))


@contextmanager
def _stored_and_printed(stream: TextIO, path: str) -> Iterator[None]:
    """Write the stream to a file, and copy the file to where the stream went before."""
    _touch(path)
    try:
        shown = os.dup(stream.fileno())
    except (OSError, ValueError):
        # A test's replacement of the stream has no descriptor to redirect.
        with redirect_to_file(stream, path):
            yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(path, shown, done), name="run-output")
    thread.daemon = True
    thread.start()
    try:
        with redirect_to_file(stream, path):
            yield
    finally:
        done.set()
        # A pipe without a reader blocks the thread for ever; the file has all output.
        thread.join(_LAST_OUTPUT_SECONDS)


def _touch(path: str) -> None:
    """Create the file and its directory where they do not exist."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def _show(path: str, shown: int, done: threading.Event) -> None:
    """Copy the growing file to the descriptor ``shown`` until ``done`` is set.

    Only this function closes the descriptor: its number may be reused, and must not get the output.
    """
    with (
        open(shown, "wb", buffering=0),
        open(path, "rb", buffering=0) as file,  # noqa: PTH123 - read as it grows
    ):
        is_complete = False
        while True:
            while chunk := file.read(_CHUNK_BYTES):
                if not _written(shown, chunk):
                    return
            if is_complete:
                return
            is_complete = done.wait(_INTERVAL_SECONDS)


def _written(shown: int, chunk: bytes) -> bool:
    try:
        while chunk:
            chunk = chunk[os.write(shown, chunk) :]
    except OSError:
        # The reader is gone; the file has all output.
        return False
    return True
