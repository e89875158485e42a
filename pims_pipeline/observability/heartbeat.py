"""A dead man's switch: an address that is called after each successful look at the clinics.

Whoever watches that address raises the alarm when the calls stop, because then nothing here
can: the machine, the daemon or the database is down. Services of this kind (Healthchecks,
Cronitor, Better Stack and others) take a plain GET.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

import httpx2

from pims_pipeline.observability.logging import get_logger

_SECONDS = 5.0
"""For each step of the call: to connect, to write, to read."""
_TOTAL_SECONDS = 10.0
"""For all of it: the steps' limits begin anew with each byte."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Calls one address.

    Attributes:
        url: A secret: whoever knows it can call it in our name.
        total_seconds: How long a call may take.
    """

    url: str = field(repr=False)
    total_seconds: float = _TOTAL_SECONDS

    def beat(self) -> bool:
        """Call the address once; False, and a line in the log, if that did not succeed.

        Never raises: an address that cannot be reached must not stop alerts from being sent,
        and its watcher raises the alarm in any case.
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
            # What the response says is of no interest, so it is not read.
            with httpx2.stream("GET", self.url, timeout=limit, follow_redirects=False) as response:
                return None if response.is_success else f"status {response.status_code}"
        except Exception as error:  # noqa: BLE001 - whatever it is, the watcher raises the alarm
            return type(error).__name__
