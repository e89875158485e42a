"""Questions to what may not answer, asked for machines that ask again every few seconds.

What is asked, and what an answer means, stands in ``health`` and ``metrics``.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pims_pipeline.observability.logging import get_logger

PROBE_SECONDS = 3
"""How long an answer is waited for."""
_KEPT_SECONDS = 1

Answer = TypeVar("Answer")

_log = get_logger(__name__)


class Probe(Generic[Answer]):
    """One question: at most once at a time and once a second, however many want to know.

    Whoever waits for the answer borrows no thread of those that serve clients, and waits no
    longer than a few seconds; the question itself may hang on, and is not asked again meanwhile.
    That it fails is logged when it begins to, without what the error says: it may name a host.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Answer],
        *,
        seconds: float = PROBE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            name: What the log calls it.
            ask: The question; called in a thread of its own.
            seconds: How long an answer is waited for.
            clock: Seconds that never run backwards.
        """
        self._name = name
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None
        self._answered_at = 0.0
        self._failing: str | None = None

    async def answer(self) -> Answer:
        """The answer, not older than a second.

        Raises:
            TimeoutError: If there is none in time.
            Exception: Whatever asking raised.
        """
        question = asyncio.wrap_future(self._question())
        try:
            answer = await asyncio.wait_for(question, self._seconds)
        except Exception as error:
            self._note(type(error).__name__)
            raise
        self._note(None)
        return answer

    def _note(self, failing: str | None) -> None:
        """Log it once when it starts to fail, and once when it does so no more."""
        if failing == self._failing:
            return
        self._failing = failing
        if failing is None:
            _log.info("probe_answered_again", probe=self._name)
        else:
            _log.warning("probe_failed", probe=self._name, error=failing)

    def _question(self) -> "Future[Answer]":
        with self._lock:
            if self._asked is None or (
                self._asked.done() and self._clock() >= self._answered_at + _KEPT_SECONDS
            ):
                self._asked = Future()
                # From now on nobody who stops waiting can cancel it.
                self._asked.set_running_or_notify_cancel()
                # A daemon: a question that hangs must not keep the process from ending.
                threading.Thread(target=self._work, args=(self._asked,), daemon=True).start()
            return self._asked

    def _work(self, asked: "Future[Answer]") -> None:
        try:
            answer = self._ask()
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._answered_at = self._clock()
            asked.set_exception(error)
        else:
            self._answered_at = self._clock()
            asked.set_result(answer)
