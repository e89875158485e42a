"""Facts of the server, its login and its speed. What follows from them belongs in ``diagnosis``."""

import statistics
import time
from dataclasses import dataclass

from sqlalchemy import Engine, text

from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import schema_of, transaction, without_pool

SAMPLES = 15
"""Round trips whose median is the latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """A server as one new connection finds it.

    Attributes:
        version: Such as ``16.4``.
        may_create: Whether the login may create tables in the schema, or the schema itself.
        missing_rights: Tables of which the login lacks a right that syncs need, sorted. Empty
            before the first migration.
        clock: The server's clock and ours.
        connect_seconds: How long the connection took, with what it asks at its start.
        latency_seconds: The median round trip.
    """

    version: str
    may_create: bool
    missing_rights: tuple[str, ...]
    clock: ClockReading
    connect_seconds: float
    latency_seconds: float


def server_facts(engine: Engine) -> ServerFacts:
    """Look at the server over a connection of its own.

    Raises:
        DatabaseUnavailable: If it cannot be reached, or refuses.
    """
    began = time.perf_counter()
    with transaction(without_pool(engine)) as connection:
        connect_seconds = time.perf_counter() - began
        clock = clock_of(connection)
        trips = []
        for _ in range(SAMPLES):
            sent = time.perf_counter()
            connection.exec_driver_sql("SELECT 1")
            trips.append(time.perf_counter() - sent)
        found = connection.execute(_FACTS, {"schema": schema_of(engine)}).one()
        lacking = connection.scalars(_MISSING_RIGHTS).all() if found.has_tables else ()
    return ServerFacts(
        version=found.version,
        may_create=found.may_create,
        missing_rights=tuple(lacking),
        clock=clock,
        connect_seconds=connect_seconds,
        latency_seconds=statistics.median(trips),
    )


_FACTS = text("""
    SELECT
        split_part(current_setting('server_version'), ' ', 1) AS version,
        coalesce(
            (
                SELECT has_schema_privilege(oid, 'CREATE')
                FROM pg_namespace WHERE nspname = :schema
            ),
            has_database_privilege(current_database(), 'CREATE')
        ) AS may_create,
        to_regprocedure('pims_access()') IS NOT NULL AS has_tables
""")

# ``pims_access()`` lists the rights that the pipeline needs of each table, such as
# "SELECT, INSERT"; has_table_privilege() is content with one of several, so they are taken apart.
_MISSING_RIGHTS = text("""
    SELECT DISTINCT needed.name
    FROM pims_access() AS needed,
        unnest(string_to_array(needed.service_rights, ', ')) AS one (named)
    WHERE to_regclass(quote_ident(needed.name)) IS NULL
        OR NOT has_table_privilege(quote_ident(needed.name), one.named)
    ORDER BY 1
""")
