"""An embedded PostgreSQL for one benchmark, with its address and the CPU that it uses."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types
import psycopg
from psycopg import sql
from support.measured import tree_cpu_seconds

from pims_pipeline.store.embedded.server import start_embedded, stop_embedded

SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Server:
    """A running server; ``directory`` is for files of the benchmark, and has its socket."""

    directory: Path
    process: psutil.Process

    @property
    def socket(self) -> Path:
        """The socket that it listens on. Everyone who may open it is the server's superuser."""
        return self.directory / "postgres" / SOCKET

    def url(self, database: str = "pims", user: str = "postgres") -> str:
        """The address of a database, through the socket."""
        return f"postgresql://{user}@/{database}?host={self.socket.parent}"

    def cpu_seconds(self) -> float:
        """CPU time of the server's processes so far."""
        return tree_cpu_seconds(self.process)

    def execute(self, statement: sql.SQL | sql.Composed, database: str = "postgres") -> None:
        """Run a statement on a database."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server() -> Iterator[Server]:
    """A new server with an empty database ``pims``; stopped and removed after the block."""
    with tempfile.TemporaryDirectory(prefix="pims-bench") as name:
        directory = Path(name)
        start_embedded(directory)
        try:
            pid = (directory / "postgres" / "postmaster.pid").read_text().split()[0]
            yield Server(directory, psutil.Process(int(pid)))
        finally:
            stop_embedded(directory)
