"""What the API works with, handed to the application when it is made.

What an application makes of it is in ``services``, how routes are given it in ``dependencies``.
Plain values and open things only: who opens and closes them, and where their settings come
from, is the composition root's.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Engine

from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.local_trust.origins import OwnAddresses
from pims_pipeline.store.database.clock import utc_now


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """The API's surroundings.

    Attributes:
        engine: Connects as the API's role, which sees one clinic at a time.
        dagster: Starts runs and asks about them.
        dagster_ui_url: Where people find the Dagster UI, without a slash at the end.
        partition_start: The first business date that can be synced.
        requests_per_minute: How many calls a key may make.
        metrics_token: What ``/metrics`` asks for as a bearer token; None for nothing.
        cors_origins: Web origins whose pages may call the API.
        own_addresses: The names under which it may be reached; None if a proxy in front, or
            nobody, sees to that.
        trusted_proxies: Addresses and networks whose ``X-Forwarded-*`` headers count.
        stopping: Set when the process has been told to end: who waits, returns.
        clock: The present moment, aware.
    """

    engine: Engine = field(repr=False)
    dagster: DagsterClient
    dagster_ui_url: str
    partition_start: date
    requests_per_minute: int
    metrics_token: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    own_addresses: OwnAddresses | None = None
    trusted_proxies: tuple[str, ...] = ()
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    clock: Callable[[], datetime] = field(default=utc_now, repr=False)
