"""A dead man's switch: an address that is called after each successful evaluation of alerts.

A monitoring service watches that address and raises the alarm when the calls stop: the machine,
the daemon or the database is then down. Such services (Healthchecks, Cronitor, Better Stack) take a
plain GET. When the address is called belongs to the caller.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

import httpx2

from pims_pipeline.observability.logging import get_logger

_SECONDS = 5.0
"""For each step of the call: to connect, to write, to read."""
_TOTAL_SECONDS = 10.0
"""For the whole call: the limit of a step starts again with each byte."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Calls one address.

    Attributes:
        url: A secret: anyone who knows it can send the heartbeat.
        total_seconds: The timeout of a call.
    """

    url: str = field(repr=False)
    total_seconds: float = _TOTAL_SECONDS

    def beat(self) -> bool:
        """Call the address once; on failure, log a warning and return False.

        Never raises: an address that cannot be reached must not stop the delivery of alerts, and
        the service that watches it raises the alarm.
        """
        outcome: Future[str | None] = Future()
        # A daemon: a response that drips must keep neither the caller nor the process.
        work = Thread(
            target=lambda: outcome.set_result(self._call()), name="heartbeat", daemon=True
        )
        work.start()
        try:
            problem = outcome.result(timeout=self.total_seconds)
        except TimeoutError:
            problem = f"no response within {self.total_seconds:g} s"
        if problem is not None:
            log.warning("heartbeat_failed", problem=problem)
        return problem is None

    def _call(self) -> str | None:
        """What went wrong with a call; None when it succeeded."""
        limit = httpx2.Timeout(_SECONDS)
        try:
            # The body is not needed, so it is not read.
            with httpx2.stream("GET", self.url, timeout=limit, follow_redirects=False) as response:
                return None if response.is_success else f"status {response.status_code}"
        except Exception as error:  # noqa: BLE001 - any failure is reported, none may escape
            return type(error).__name__
