"""The Dagster instance: its home directory, its environment, and how to open it.

Its configuration is ``dagster.yaml`` beside this file. The database's address is in the
environment instead, because Dagster passes an instance's configuration on command lines.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pims_pipeline.local_trust.private_files import make_private

if TYPE_CHECKING:
    from dagster import DagsterInstance

_CONFIG = Path(__file__).with_name("dagster.yaml")


def dagster_home(home: Path) -> Path:
    """Return the instance's directory under ``home``; create and configure it where needed."""
    directory = home.expanduser().absolute() / "dagster"
    make_private(directory.parent)
    make_private(directory)
    config = directory / _CONFIG.name
    wanted = _CONFIG.read_text()
    if not config.exists() or config.read_text() != wanted:
        config.write_text(wanted)
    return directory


def dagster_environment(home: Path, storage_url: str) -> dict[str, str]:
    """Return the environment variables that every Dagster process of this instance needs.

    Args:
        home: The program's home directory.
        storage_url: The address of Dagster's own storage, on psycopg2; a secret.
    """
    return {
        "DAGSTER_HOME": str(dagster_home(home)),
        "DAGSTER_POSTGRES_URL": storage_url,
        # Writing events one by one would cost more than the sync: a run of a month for twenty
        # clinics has six hundred partitions.
        "DAGSTER_EVENT_BATCH_SIZE": "100",
    }


@contextmanager
def open_instance(home: Path, storage_url: str) -> Iterator["DagsterInstance"]:
    """Open the instance. Sets ``dagster_environment`` in this process.

    Args:
        home: The program's home directory.
        storage_url: See ``dagster_environment``.
    """
    from dagster import DagsterInstance  # noqa: PLC0415 - costs seconds

    os.environ.update(dagster_environment(home, storage_url))
    with DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        yield instance
