"""Axiom as a second place for log lines, beside standard error.

Writing a line never waits and never fails: it goes into a bounded queue, from which a thread
sends batches. What does not fit, or is not taken, is dropped and counted. axiom-py does the
talking; its own logging handler is not used, because its buffer has no bound, it sends (and
tries again, without a time limit) on the thread that logs, raises there, and starts a timer
thread per line.

Lines arrive here as text, rendered after redaction by the formatter that ``configure_logging``
gives the handler.
"""

import atexit
import gzip
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from pims_pipeline.observability.logging import Sink, get_logger

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

AXIOM_URL: Final = "https://api.axiom.co"

_EDGE = ".edge.axiom.co"
_TIMEOUT_SECONDS = (3.05, 10.0)
"""To connect, and for the answer."""

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_MAX_LINE = 256 * 1024
_MAX_WAITING = 16 * 1024 * 1024
"""Characters that may wait, whatever the number of their lines."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
log = get_logger(__name__)

# A process that is forked while another thread imports a module can never import it itself.
_importing = threading.Lock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


class IngestFailed(Exception):
    """A batch was not taken. Says why, without the service's own words.

    Attributes:
        is_passing: Whether the same batch may be taken later.
        retry_after: Seconds for which the service wants to be left alone, if it said so.
    """

    def __init__(self, reason: str, *, is_passing: bool, retry_after: float | None = None) -> None:
        self.is_passing = is_passing
        self.retry_after = retry_after
        super().__init__(reason)


Ingest = Callable[[Sequence[str]], int]
"""Sends lines, each a JSON object; gives how many of them were refused one by one.

Raises ``IngestFailed`` when none was taken.
"""


class Addresses(NamedTuple):
    """Where Axiom is. Edge deployments take lines at an address and a path of their own."""

    api: str
    edge: str | None


def axiom_addresses(url: str | None) -> Addresses:
    """What ``url`` is the address of; Axiom's own where there is none."""
    if url and (urlsplit(url).hostname or "").endswith(_EDGE):
        return Addresses(AXIOM_URL, url)
    return Addresses(url or AXIOM_URL, None)


def axiom_ingest(token: str, dataset: str, url: str | None = None) -> Ingest:
    """The way into a dataset, through axiom-py's client.

    Args:
        token: An API token; a secret.
        dataset: Its name.
        url: Where Axiom is, when it is not at ``AXIOM_URL``; an edge deployment's also.
    """
    # Two fifths of a second, which only those pay who use it, and not on their own thread.
    from axiom_py.client import (  # type: ignore[import-untyped] # noqa: PLC0415 - see above; it carries no types
        AxiomError,
        Client,
        ContentEncoding,
        ContentType,
    )
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - too
    from requests.exceptions import RequestException  # noqa: PLC0415 - too

    class Bounded(HTTPAdapter):
        """Gives up after a while, leaves trying again to the sink, and remembers headers."""

        answered: Mapping[str, str] = {}

        def send(self, request: "PreparedRequest", **options: object) -> "Response":  # type: ignore[override] # passes on what it is given
            self.answered = {}
            response = super().send(request, **{**options, "timeout": _TIMEOUT_SECONDS})  # type: ignore[arg-type] # as above
            self.answered = response.headers
            return response

    addresses = axiom_addresses(url)
    # No organization rather than none said, for which the client would ask the environment.
    client = Client(token, "", addresses.api, addresses.edge)
    adapter = Bounded(max_retries=0)
    for scheme in ("http://", "https://"):
        client.session.mount(scheme, adapter)

    def ingest(lines: Sequence[str]) -> int:
        payload = gzip.compress("\n".join(lines).encode("utf-8", "replace"), compresslevel=5)
        try:
            status = client.ingest(dataset, payload, ContentType.NDJSON, ContentEncoding.GZIP)
        except AxiomError as error:
            passing = error.status in _PASSING or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            raise IngestFailed(
                f"status {error.status}", is_passing=passing, retry_after=_rest(adapter.answered)
            ) from None
        except RequestException as error:
            raise IngestFailed(type(error).__name__, is_passing=True) from None
        except Exception as error:  # noqa: BLE001 - whatever it makes of an answer, lines go on
            raise IngestFailed(type(error).__name__, is_passing=False) from None
        return int(status.failed)

    return ingest


def _rest(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


class AxiomSink(Sink):
    """Takes lines without waiting, and sends them in batches from a thread of its own.

    Works on in the child of a fork, which leaves its parent's lines to the parent. Lines
    written by its own thread are not taken, so that nothing it says about itself, and nothing
    its HTTP client says, comes back to it.
    """

    def __init__(
        self,
        make_ingest: Callable[[], Ingest],
        *,
        batch_lines: int = 1_000,
        batch_seconds: float = 1.0,
        max_lines: int = 10_000,
        exit_seconds: float = 3.0,
    ) -> None:
        """Nothing is sent, and no thread started, before the first line.

        Args:
            make_ingest: Gives the way to Axiom; called on the sink's thread.
            batch_lines: So many lines are sent without waiting for more.
            batch_seconds: How long a line waits for others at most.
            max_lines: So many lines may wait; more are dropped.
            exit_seconds: How long ``end`` waits for what is still to be sent.
        """
        super().__init__()
        self._make_ingest = make_ingest
        self._batch_lines = batch_lines
        self._batch_seconds = batch_seconds
        self._max_lines = max_lines
        self._exit_seconds = exit_seconds
        self._begin()
        atexit.register(self.end)

    def _begin(self) -> None:
        """What belongs to this process; a forked one begins anew."""
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._waiting_size = 0
        self._in_flight = 0
        self._dropped = 0
        self._untold = 0
        self._closing = False
        self._complained = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Lines of this process that were not and will not be sent."""
        with self._changed:
            return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line, or drop and count it."""
        if os.getpid() != self._pid:
            self._begin()
        if threading.current_thread() is self._thread or record.name == __name__:
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - the standard handling would print the raw record
            line = ""
        with self._changed:
            if not self._has_room_for(line):
                self._drop(1)
                return
            self._waiting.append(line)
            self._waiting_size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="axiom", daemon=True)
                self._thread.start()
            if len(self._waiting) in {1, self._batch_lines}:
                self._changed.notify_all()

    def _has_room_for(self, line: str) -> bool:
        return (
            not self._closing
            and 0 < len(line) <= _MAX_LINE
            and len(self._waiting) + self._in_flight < self._max_lines
            and self._waiting_size + len(line) <= _MAX_WAITING
        )

    def end(self) -> None:
        """Send what waits, for some seconds at most. What is logged later is dropped.

        Not called ``close``: whoever sets logging up with ``dictConfig``, as Dagster does at the
        beginning of each run, closes every handler there is, and holds meanwhile a lock that
        sending needs.
        """
        self.close()
        atexit.unregister(self.end)
        if os.getpid() != self._pid:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None or self._thread is threading.current_thread():
            return
        self._thread.join(self._exit_seconds)
        with self._changed:
            self._drop(len(self._waiting) + self._in_flight)
            self._waiting.clear()
            self._waiting_size = self._in_flight = 0
            untold, self._untold = self._untold, 0
        if untold:
            log.warning("axiom_lines_dropped", count=untold)

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._untold += count

    def _work(self) -> None:
        with _importing:
            ingest = self._make_ingest()
        while batch := self._next_batch():
            taken = self._send(ingest, batch)
            with self._changed:
                if not taken:
                    self._drop(self._in_flight)
                self._in_flight = 0

    def _next_batch(self) -> list[str]:
        """Lines to be sent together; none when there is nothing more to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(
                lambda: len(self._waiting) >= self._batch_lines or self._closing,
                timeout=self._batch_seconds,
            )
            size = min(len(self._waiting), self._batch_lines)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._waiting_size -= sum(map(len, batch))
            self._in_flight = len(batch)
        return batch

    def _send(self, ingest: Ingest, batch: Sequence[str]) -> bool:
        """Whether the batch was taken, at last."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            was_closing = self._closing
            try:
                refused = ingest(batch)
            except IngestFailed as error:
                if not self._complained:
                    log.warning("axiom_takes_no_lines", reason=str(error))
                self._complained = True
                if was_closing or not error.is_passing:
                    return False
                pause = wait if error.retry_after is None else error.retry_after
                self._rest(min(pause, _LONGEST_WAIT_SECONDS))
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
                continue
            if self._complained:
                log.info("axiom_takes_lines_again")
            self._complained = False
            self._tell_of_dropped(refused)
            return True

    def _rest(self, seconds: float) -> None:
        """Leave Axiom alone for so long, or until the process ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _tell_of_dropped(self, refused: int) -> None:
        """Let both places know how many lines are missing since the last time."""
        with self._changed:
            self._drop(refused)
            untold, self._untold = self._untold, 0
            if untold:
                self._waiting.append(line := _dropped_line(untold))
                self._waiting_size += len(line)
        if untold:
            log.warning("axiom_lines_dropped", count=untold)


def _dropped_line(count: int) -> str:
    """What a reader at Axiom sees in place of the lines that are missing."""
    told = {"level": "warning", "logger": __name__, "event": "axiom_lines_dropped", "count": count}
    return json.dumps({"_time": datetime.now(UTC).isoformat(), **told})
