"""A dead man's switch: an address that is called after each successful look at the clinics.

Whoever watches that address raises the alarm when the calls stop, because then nothing here
can: the machine, the daemon or the database is down. Services of this kind (Healthchecks,
Cronitor, Better Stack and others) take a plain GET.
"""

from dataclasses import dataclass, field

import httpx2

from pims_pipeline.observability.logging import get_logger

_SECONDS = 5.0
"""For each step of the call: to connect, to write, to read."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Calls one address.

    Attributes:
        url: A secret: whoever knows it can call it in our name.
    """

    url: str = field(repr=False)

    def beat(self) -> bool:
        """Call the address once; False, and a line in the log, if that did not succeed.

        Never raises: an address that cannot be reached must not stop alerts from being sent,
        and its watcher raises the alarm in any case.
        """
        try:
            response = httpx2.get(
                self.url, timeout=httpx2.Timeout(_SECONDS), follow_redirects=False
            )
            problem = None if response.is_success else f"status {response.status_code}"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            problem = type(error).__name__
        if problem is not None:
            log.warning("heartbeat_failed", problem=problem)
        return problem is None
