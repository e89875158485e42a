"""Where runs' output is kept: as in Dagster, and shown where they run, without helpers.

Dagster's own manager starts ``tail`` and a watcher for each stream. They inherit the run's
environment, with the key that encrypts logins in it, for as long as the run lasts. Here a
thread of the run shows what the run has written.
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
_FAREWELL_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024
_DIRECTORY = "storage"


class InProcessComputeLogManager(LocalComputeLogManager):
    """Keeps what runs print under ``DAGSTER_HOME``; see ``dagster.yaml``."""

    @classmethod
    def config_type(cls) -> Mapping[str, Field]:
        """See Dagster."""
        return {"home": Field(StringSource)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "InProcessComputeLogManager":
        """See Dagster; its own place for them is the same."""
        directory = Path(config_value["home"]) / _DIRECTORY
        return cls(base_dir=str(directory), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """See Dagster."""
        out = self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[ComputeIOType.STDOUT])
        err = self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[ComputeIOType.STDERR])
        with _kept_and_shown(sys.stdout, out), _kept_and_shown(sys.stderr, err):
            yield CapturedLogContext(log_key)
        # Its existence says that the output is whole.
        _touch(self.get_captured_local_path(log_key, "complete"))


@contextmanager
def _kept_and_shown(stream: TextIO, path: str) -> Iterator[None]:
    """Within, what is written to ``stream`` goes to a file, and on to where it went before."""
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
        # A pipe that nobody reads takes nothing more. The file has it all.
        thread.join(_FAREWELL_SECONDS)


def _touch(path: str) -> None:
    """Make the file and its directory, where they do not exist."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def _show(path: str, shown: int, done: threading.Event) -> None:
    """Write the file on to the descriptor while it grows, until told that it is whole.

    The descriptor is closed here alone: a number that is in use again must get none of it.
    """
    with (
        open(shown, "wb", buffering=0),
        open(path, "rb", buffering=0) as file,  # noqa: PTH123 - read as it grows
    ):
        is_whole = False
        while True:
            while chunk := file.read(_CHUNK_BYTES):
                if not _written(shown, chunk):
                    return
            if is_whole:
                return
            is_whole = done.wait(_INTERVAL_SECONDS)


def _written(shown: int, chunk: bytes) -> bool:
    try:
        while chunk:
            chunk = chunk[os.write(shown, chunk) :]
    except OSError:
        # Nobody reads it any more; the file has it.
        return False
    return True
