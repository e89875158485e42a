"""Errors of the database, each with what an operator can do.

``conditions`` defines the reasons of a server; an error here adds where it occurred.
"""

from sqlalchemy import URL
from sqlalchemy.exc import (
    DBAPIError,
)

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.conditions import (
    DatabaseCondition,
    condition_of,
    sentence,
)


class DatabaseUnavailable(UserFacingError):
    """The database cannot be reached, or refuses our connection."""


class DatabaseRefused(DatabaseUnavailable):
    """The database refuses for a known reason.

    Attributes:
        what: The reason alone, without names of hosts, roles or tables: safe for clients.
        passes: Whether the same transaction may succeed shortly after.
    """

    def __init__(
        self, condition: DatabaseCondition, error: object = None, *, where: str = ""
    ) -> None:
        """Describe ``condition``, with the code and message of the driver's ``error``."""
        self.what = condition.what
        self.passes = condition.passes
        super().__init__(where + sentence(condition, error))


class PoolExhausted(DatabaseUnavailable):
    """No connection of this process became free in time."""


def named_error(url: URL, error: DBAPIError) -> DatabaseUnavailable | None:
    """What to raise in place of an error of an open connection, if it is a known condition."""
    condition = condition_of(error.orig)
    if condition is not None:
        return DatabaseRefused(condition, error.orig)
    if error.connection_invalidated:
        return DatabaseUnavailable(
            f"lost the connection to database {url.database!r} at {_place(url)} "
            f"({_reason(url, error)}); check that it is up, then run this again"
        )
    return None


_VARIABLES = (
    "PIMS_DATABASE_URL, for the API PIMS_API_DATABASE_URL (without both, an embedded database is "
    "used)"
)


def connection_error(
    url: URL, error: DBAPIError, *, variables: str = _VARIABLES
) -> DatabaseUnavailable:
    """What to raise when a connection cannot be opened; without a password.

    Args:
        url: The address.
        error: The driver's.
        variables: What may be wrong, if the server is up.
    """
    condition = condition_of(error.orig)
    if condition is not None:
        where = f"cannot use database {url.database!r} at {_place(url)}: "
        return DatabaseRefused(condition, error.orig, where=where)
    return DatabaseUnavailable(
        f"cannot reach database {url.database!r} at {_place(url)} ({_reason(url, error)}); start "
        f"it, or correct {variables}"
    )


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "the default socket"
    hosts = host if isinstance(host, str) else ", ".join(host)
    return f"{hosts}:{url.port}" if url.port else hosts


def _reason(url: URL, error: DBAPIError) -> str:
    """The first line of the driver's message."""
    lines = [line.strip() for line in str(error.orig or "").splitlines() if line.strip()]
    reason = lines[0].removesuffix(".") if lines else type(error.orig).__name__
    password = url.password
    return reason.replace(password, "***") if isinstance(password, str) and password else reason
