"""What an application is built with: connections and plain values.

``services`` builds objects from it, ``dependencies`` passes them to routes. Opening and closing
them, and reading settings, belongs in the composition root.
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
    """What the application is built with.

    Attributes:
        engine: Connects as the API's role, which sees one clinic per transaction.
        dagster: Starts runs and reads their states.
        dagster_ui_url: The address of the Dagster UI, without a trailing slash.
        partition_start: The first business date that can be synced.
        requests_per_minute: The rate limit of a key.
        metrics_token: The bearer token of ``/metrics``; None for no token.
        cors_origins: Web origins whose pages may call the API.
        own_addresses: The host names that it accepts; None to accept any.
        trusted_proxies: Addresses and networks whose ``X-Forwarded-*`` headers count.
        stopping: Set when the process shuts down: waiting requests return.
        clock: Returns the present time, aware.
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
