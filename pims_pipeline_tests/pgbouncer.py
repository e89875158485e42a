"""A PgBouncer, in transaction mode by default, before a test's database, on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pims_pipeline.domain.addresses import parse_database_address

_PLACES = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"))
_START_SECONDS = 30
_CONFIG = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listens}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
ignore_startup_parameters = {ignored}
logfile = {directory}/log
"""


def _program() -> str:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_PLACES)
    if found is None:
        pytest.skip("pgbouncer is not installed; run make setup")
    return found


@contextmanager
def pgbouncer(
    database_url: str,
    *,
    size: int,
    ignored: str = "extra_float_digits",
    mode: str = "transaction",
) -> Iterator[str]:
    """The database's address through a pooler with at most ``size`` connections to it.

    Args:
        database_url: The database's own address.
        size: See above.
        ignored: Startup parameters that it drops; it refuses all others.
        mode: What a client gets a connection for: ``transaction`` or ``session``.
    """
    program, url = _program(), make_url(database_url)
    host = url.query["host"]
    assert isinstance(host, str)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not under pytest's own directory, which the server's user may not read.
    with tempfile.TemporaryDirectory(prefix="pims-pgbouncer-") as name:
        directory = Path(name)
        config = directory / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(
                host=host,
                port=url.port or 5432,
                user=url.username,
                listens=port,
                size=size,
                ignored=ignored,
                mode=mode,
                directory=directory,
            )
        )
        # It refuses to run as root, and only the server's user may connect to its socket.
        owner = Path(host).stat()
        is_root = os.geteuid() == 0
        for path in (directory, config) if is_root else ():
            os.chown(path, owner.st_uid, owner.st_gid)
        with subprocess.Popen(  # noqa: S603 - the pooler, with our own configuration
            [program, "--quiet", str(config)],
            stdin=subprocess.DEVNULL,
            cwd="/",
            user=owner.st_uid if is_root else None,
            group=owner.st_gid if is_root else None,
        ) as process:
            try:
                _wait_for(process, port, directory / "log")
                # As its users write it: a pooler takes no options of the server.
                named = parse_database_address(database_url).named_schema
                schema = {} if named is None else {"schema": named}
                pooled = url.set(host="127.0.0.1", port=port, query=schema)
                yield pooled.render_as_string(hide_password=False)
            finally:
                process.terminate()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text() if log.exists() else "no log") from None
            time.sleep(0.02)
