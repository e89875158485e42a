"""The lock for starting and stopping the server, and for creating the key file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fasteners import InterProcessLock  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.local_trust.private_files import make_private

LOCK_SECONDS = 180


class StartLock(InterProcessLock):  # type: ignore[misc] # the package carries no types
    """A lock between processes with a limited wait.

    Starting and stopping the server have limits of their own, so a longer wait means that the
    holder is suspended.
    """

    def __enter__(self) -> Self:
        if not self.acquire(timeout=LOCK_SECONDS):
            raise EmbeddedDatabaseFailed(
                "another process has been starting or stopping the embedded PostgreSQL for "
                f"{LOCK_SECONDS:g} s; end it if it is stuck, and try again"
            )
        return self


class EmbeddedDatabaseFailed(UserFacingError):
    """The embedded server does not start, or its files cannot be used."""


_threads = threading.Lock()


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """One thread of one process at a time, machine-wide."""
    make_private(home)
    # A process's file locks do not keep its own threads apart.
    with _threads, StartLock(home / "start.lock"):
        yield
