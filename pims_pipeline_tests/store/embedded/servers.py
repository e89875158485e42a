"""A server for one test, which changes the server itself: its roles, its version."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pims_pipeline.store.embedded.server import start_embedded, stop_embedded


@contextmanager
def own_server(*, postgres_version: int | None = None) -> Iterator[str]:
    """The address of an empty database of a server without our roles."""
    # Not under pytest's own directory: the next pytest run to start would close that to
    # the user a server runs as when root tests.
    with tempfile.TemporaryDirectory(prefix="pims-own-") as directory:
        home = Path(directory) / "home"
        try:
            yield start_embedded(home, postgres_version=postgres_version)
        finally:
            stop_embedded(home)
