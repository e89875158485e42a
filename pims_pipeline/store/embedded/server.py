"""Start and share the embedded PostgreSQL, which is used when no database URL is set.

Its data is under ``postgres/`` in the program's home directory. Any number of processes may use
the server: the first starts it, the last stops it.
"""

import atexit
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from pims_pipeline.store.embedded.postgres import SETTINGS, EmbeddedServer, version_for
from pims_pipeline.store.embedded.start_lock import EmbeddedDatabaseFailed, exclusive

DATABASE = "pims"
_DATA = "postgres"
_JOIN_SECONDS = 10
_CONNECT_SECONDS = 10


_servers: dict[Path, EmbeddedServer] = {}


def start_embedded(
    home: Path, *, postgres_version: int | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Start the embedded PostgreSQL under ``home``, or join the one that runs there.

    The server stops when the last process that called this ends or calls
    ``stop_embedded``. A process that was killed counts as ended.

    As root the server runs as the system user ``pgserver`` (created if needed): its group may
    pass through ``home``, every user through the directories above.

    Args:
        home: The program's home directory; created if needed.
        postgres_version: For a new database: 16 or 18 (default). An existing one stays
            what it is.
        settings: PostgreSQL settings on top of ours, for the first process.

    Returns:
        The URL of the database ``pims``, created if needed; it has no tables yet.

    Raises:
        EmbeddedDatabaseFailed: If the server cannot be started.
    """
    home = home.expanduser().resolve()
    try:
        with exclusive(home):
            data = home / _DATA
            version = version_for(data, postgres_version)
            server = _servers.get(data)
            if server is None:
                server = EmbeddedServer(
                    data, version=version, settings={**SETTINGS, **(settings or {})}
                )
            _join(server)
            # Registered after the wheel's own exit handler, so that it runs first.
            atexit.unregister(server.release)
            atexit.register(server.release)
            _servers[data] = server
            return server.url(DATABASE)
    except (OSError, subprocess.SubprocessError, psycopg.OperationalError) as error:
        raise EmbeddedDatabaseFailed(
            f"the embedded PostgreSQL under {home / _DATA} does not start "
            f"({type(error).__name__}); its log is {home / _DATA / 'log'}; "
            "or set PIMS_DATABASE_URL to a PostgreSQL of your own"
        ) from error


def has_embedded(home: Path) -> bool:
    """Whether ``start_embedded`` has created a database under ``home``; creates nothing."""
    return (home.expanduser().resolve() / _DATA / "PG_VERSION").exists()


def stop_embedded(home: Path) -> None:
    """Release the server under ``home``; it stops unless another process uses it."""
    home = home.expanduser().resolve()
    with exclusive(home):
        server = _servers.pop(home / _DATA, None)
        if server is not None:
            atexit.unregister(server.release)
            server.release()


def _join(server: EmbeddedServer) -> None:
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        server.start()
        try:
            _ensure_database(server)
            return
        except psycopg.OperationalError:
            # It was running when found, but was being stopped or killed.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _ensure_database(server: EmbeddedServer) -> None:
    address = server.url("postgres")
    with psycopg.connect(address, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
