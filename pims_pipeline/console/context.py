"""What the console is built with: connections and plain values."""

import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine

from pims_pipeline.local_trust.origins import OwnAddresses
from pims_pipeline.operations.console.launching import RunStarter

_NO_ADDRESSES = OwnAddresses(authorities=frozenset())


@dataclass(frozen=True, slots=True)
class IdentityProxy:
    """A proxy that signs operators in.

    Attributes:
        header: The header that names the operator.
        addresses: The networks from which it counts.
    """

    header: str
    addresses: tuple[str, ...]

    def is_trusted(self, peer: str | None) -> bool:
        """Whether a connection from ``peer`` is the proxy's.

        Example:
            >>> IdentityProxy("X-User", ("10.0.0.0/8",)).is_trusted("10.1.2.3")
            True
        """
        try:
            address = ipaddress.ip_address((peer or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in ipaddress.ip_network(each, strict=False) for each in self.addresses)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class ConsoleContext:
    """What the console is built with.

    Attributes:
        engine: Connects as the API's role, which takes the console's for an operator.
        dagster_ui_url: The address of the Dagster UI, without a trailing slash.
        runs: Starts runs and reports on them.
        partition_start: The first business date that can be synced.
        own_addresses: The server's, whose configured names count as its own origin.
        proxy: The identity proxy; None for none.
        has_role: Whether the database has the console's role.
        stopping: Set when the process shuts down.
        clock: Returns the present time, aware.
    """

    engine: Engine = field(repr=False)
    dagster_ui_url: str
    runs: RunStarter = field(repr=False)
    partition_start: date
    own_addresses: OwnAddresses = _NO_ADDRESSES
    proxy: IdentityProxy | None = None
    has_role: bool = True
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    clock: Callable[[], datetime] = field(default=_utc_now, repr=False)


def context_of(app: Any) -> ConsoleContext:
    """The context that the application was built with."""
    context: ConsoleContext = app.state.console
    return context
