"""The settings that our statements depend on, set at the start of every transaction.

A role or a database may have settings (``ALTER ROLE … SET``) that break our statements: a date
style, a search path, read-only. Ours apply to the transaction, because a pooler in transaction mode
shares its connections, and may refuse settings at the connection's start. They are sent with BEGIN,
so they cost no round trip.

Add a setting to ``_PINNED`` when our statements depend on it. An administrator chooses the others
(memory, planner, logs).
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType

STATEMENT_SECONDS = 300
"""How long one statement may take, unless an engine has another limit."""
IDLE_SECONDS = 300
"""How long a transaction may wait for its program before the server ends it."""

_PINNED: Mapping[str, str] = MappingProxyType(
    {
        "DateStyle": "ISO, MDY",
        "TimeZone": "UTC",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
        "array_nulls": "on",
        "transform_null_equals": "off",
        "row_security": "on",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    }
)
_SINCE_17: Mapping[str, str] = MappingProxyType({"transaction_timeout": "0"})
_VERSION_17 = 170_000
_READ_BY_PSYCOPG2 = frozenset({"standard_conforming_strings"})


@functools.lru_cache
def begin_statement(
    schema: str, *, statement_seconds: float, lock_seconds: float, server_version: int
) -> str:
    """Begins a transaction that may write, and sets what our statements depend on.

    Args:
        schema: Where our tables are; temporary tables are looked for last, so that none can take
            the place of ours.
        statement_seconds: The longest that a statement may take; 0 for any time.
        lock_seconds: The longest that a statement may wait for another session's lock.
        server_version: As libpq gives it, such as 150004.
    """
    settings = {
        # Timeouts first: the former ones may expire soon.
        **(_SINCE_17 if server_version >= _VERSION_17 else {}),
        "statement_timeout": f"{round(statement_seconds * 1000)}ms",
        "lock_timeout": f"{max(1, round(lock_seconds * 1000))}ms",
        **_PINNED,
    }
    pinned = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in settings.items())
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
        f'{pinned}; SET LOCAL search_path = "{schema}", pg_temp'
    )


def operator_settings(id_hash: str | None) -> str:
    """What BEGIN adds for an operator of the console: the sign-in, and the role that it restricts.

    Args:
        id_hash: Hexadecimal digits; None outside the console.
    """
    if id_hash is None:
        return ""
    return f"; SET LOCAL pims.operator_sign_in = '{id_hash}'; SET LOCAL ROLE pims_console"


def dagster_settings(
    schema: str | None, *, statement_seconds: float, server_version: int
) -> Mapping[str, str]:
    """The same for a session of Dagster's storage, which begins its transactions itself.

    Its columns hold times without a zone, in UTC. ``standard_conforming_strings`` is left as it is:
    psycopg2 looks at it when it connects, and quotes for it.

    Args:
        schema: Where Dagster's tables are; None for the role's own ``search_path``.
        statement_seconds: The longest that a statement may take; 0 for any time.
        server_version: As libpq gives it, such as 150004.
    """
    pinned = {name: value for name, value in _PINNED.items() if name not in _READ_BY_PSYCOPG2}
    return {
        **(_SINCE_17 if server_version >= _VERSION_17 else {}),
        "statement_timeout": f"{round(statement_seconds * 1000)}ms",
        "lock_timeout": "0",
        "idle_session_timeout": "0",
        **pinned,
        "default_transaction_read_only": "off",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        **({} if schema is None else {"search_path": f'"{schema}"'}),
    }
