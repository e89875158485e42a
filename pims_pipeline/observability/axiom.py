"""Axiom as a second destination of log lines, besides standard error.

Logging never waits and never fails: lines go into a bounded queue, from which a thread sends
batches. Lines that do not fit or are refused are dropped and counted. axiom-py's own handler is not
used: it has no bound, sends and retries on the logging thread, and starts a timer thread per line.

Lines arrive as text, after redaction; their format belongs in ``logging``, requests to
Axiom in ``axiom_client``.
"""

import atexit
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pims_pipeline.observability.axiom_client import Ingest, IngestFailed
from pims_pipeline.observability.logging import Sink, get_logger

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_MAX_LINE = 256 * 1024
_MAX_WAITING = 16 * 1024 * 1024
"""The most characters in the queue."""

log = get_logger(__name__)

# A process that is forked while another thread imports a module can never import that module.
_importing = threading.Lock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


class AxiomSink(Sink):
    """Queues lines without waiting, and sends them in batches from its own thread.

    After a fork it works in the child too, with an empty queue. It ignores lines that its own
    thread logs, so that its HTTP client's lines and its own do not loop.
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
        """Create a sink; its thread starts with the first line.

        Args:
            make_ingest: Returns the function that sends; called on the sink's thread.
            batch_lines: How many lines are sent without waiting for more.
            batch_seconds: How long a line waits for others, at most.
            max_lines: The most lines in the queue; more are dropped.
            exit_seconds: How long ``end`` waits for the queue to be sent.
        """
        super().__init__()
        self._make_ingest = make_ingest
        self._batch_lines = batch_lines
        self._batch_seconds = batch_seconds
        self._max_lines = max_lines
        self._exit_seconds = exit_seconds
        self._reset()
        atexit.register(self.end)

    def _reset(self) -> None:
        """Set the state of this process; a forked one starts with its own."""
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._waiting_size = 0
        self._in_flight = 0
        self._dropped = 0
        self._unreported = 0
        self._closing = False
        self._failure_reported = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """How many lines of this process were dropped."""
        with self._changed:
            return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line, or drop and count it."""
        if os.getpid() != self._pid:
            self._reset()
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
        """Send the queue, for ``exit_seconds`` at most. Lines that are logged later are dropped.

        Not called ``close``: ``dictConfig``, which Dagster calls when a run starts, closes every
        handler while it holds a lock that sending needs.
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
            unreported, self._unreported = self._unreported, 0
        if unreported:
            log.warning("axiom_lines_dropped", count=unreported)

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._unreported += count

    def _work(self) -> None:
        with _importing:
            ingest = self._make_ingest()
        while batch := self._next_batch():
            is_sent = self._send(ingest, batch)
            with self._changed:
                if not is_sent:
                    self._drop(self._in_flight)
                self._in_flight = 0

    def _next_batch(self) -> list[str]:
        """The lines of the next batch; none when the sink is closing and the queue is empty."""
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
        """Send the batch, with retries; return whether it was ingested."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            was_closing = self._closing
            try:
                refused = ingest(batch)
            except IngestFailed as error:
                if not self._failure_reported:
                    log.warning("axiom_takes_no_lines", reason=str(error))
                self._failure_reported = True
                if was_closing or not error.is_transient:
                    return False
                pause = wait if error.retry_after is None else error.retry_after
                self._pause(min(pause, _LONGEST_WAIT_SECONDS))
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
                continue
            if self._failure_reported:
                log.info("axiom_takes_lines_again")
            self._failure_reported = False
            self._report_dropped(refused)
            return True

    def _pause(self, seconds: float) -> None:
        """Wait so long before a retry, or until the sink is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _report_dropped(self, refused: int) -> None:
        """Report lines dropped since the last report, to Axiom and on standard error."""
        with self._changed:
            self._drop(refused)
            unreported, self._unreported = self._unreported, 0
            if unreported:
                self._waiting.append(line := _dropped_line(unreported))
                self._waiting_size += len(line)
        if unreported:
            log.warning("axiom_lines_dropped", count=unreported)


def _dropped_line(count: int) -> str:
    """The line that Axiom gets in place of the dropped ones."""
    event = {"level": "warning", "logger": __name__, "event": "axiom_lines_dropped", "count": count}
    return json.dumps({"_time": datetime.now(UTC).isoformat(), **event})
