"""Rate limits: calls of an API key, and failed attempts of an address.

Kept in the memory of the process: each process of the API counts for itself. ``auth`` decides
what counts as a failure.
"""

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from pims_pipeline.local_trust.clients import network_of

FAILURES_PER_KEY = 10
"""Failed attempts a minute, per address and key prefix."""
FAILURES_PER_ADDRESS = 100
"""The same per address, for all prefixes together."""

_MOST_NAMES = 20_000


class _Windows(Storage, MovingWindowSupport):
    """The times of accepted hits, by name. Its size is bounded, and its clock an argument.

    The library's own memory storage keeps every name, and reads the machine's clock.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """The storage raises no errors of its own."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add ``amount`` hits, unless that makes more than ``limit`` within ``expiry`` seconds."""
        with self._lock:
            now = self._clock()
            times = self._within(key, now - expiry, now)
            if len(times) + amount > limit:
                return False
            times.extend([now] * amount)
            self._times[key] = times
            self._times.move_to_end(key)
            self._forget(now - expiry)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """Return the time of the oldest hit within ``expiry`` seconds, and their number."""
        with self._lock:
            now = self._clock()
            times = self._within(key, now - expiry, now)
            return (times[0], len(times)) if times else (now, 0)

    def _within(self, key: str, since: float, now: float) -> deque[float]:
        times = self._times.get(key) or deque[float]()
        while times and times[0] <= since:
            times.popleft()
        if times and times[-1] > now:
            # The clock was set back: hits in the future would block the name until then.
            times.clear()
        return times

    def _forget(self, since: float) -> None:
        """Drop names without a hit since then; and the oldest, if there are too many."""
        while self._times:
            times = next(iter(self._times.values()))
            if len(self._times) <= _MOST_NAMES and times and times[-1] > since:
                return
            self._times.popitem(last=False)

    def knows(self, key: str) -> bool:
        """Whether ``key`` has any hits."""
        return key in self._times

    def __len__(self) -> int:
        return len(self._times)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not supported: only moving windows are."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """As ``incr``."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """As ``incr``."""
        raise NotImplementedError

    def check(self) -> bool:
        """Memory is always available."""
        return True

    def reset(self) -> int:
        """Forget everything."""
        with self._lock:
            forgotten = len(self._times)
            self._times.clear()
            return forgotten

    def clear(self, key: str) -> None:
        """Forget ``key``."""
        with self._lock:
            self._times.pop(key, None)


class _Limit:
    """A limit per minute, for each name."""

    def __init__(self, amount: int, clock: Callable[[], float]) -> None:
        self.windows = _Windows(clock)
        self._clock = clock
        self._item: RateLimitItem = RateLimitItemPerMinute(amount)
        self._limiter = MovingWindowRateLimiter(self.windows)

    def note(self, *name: str) -> bool:
        """Count a hit; return whether it was within the limit."""
        return self._limiter.hit(self._item, *name)

    def wait(self, *name: str) -> int:
        """Whole seconds until the next hit is within the limit; 0 if it is now."""
        # The fast path: nearly all callers have no failures.
        if not self.windows.knows(self._item.key_for(*name)):
            return 0
        if self._limiter.test(self._item, *name):
            return 0
        room_at = self._limiter.get_window_stats(self._item, *name).reset_time
        return max(1, math.ceil(room_at - self._clock()))


class Limits:
    """The limits of one application.

    Args:
        requests_per_minute: Calls of each key.
        clock: Returns the present time, aware.
    """

    def __init__(self, requests_per_minute: int, clock: Callable[[], datetime]) -> None:
        def seconds() -> float:
            return clock().timestamp()

        self._calls = _Limit(requests_per_minute, seconds)
        # Separate, so that made-up prefixes cannot push addresses out of a full memory.
        self._failures_of_keys = _Limit(FAILURES_PER_KEY, seconds)
        self._failures_of_addresses = _Limit(FAILURES_PER_ADDRESS, seconds)

    def wait_after_failures(self, address: str, prefix: str | None) -> int:
        """Whole seconds until ``address`` may try a key again; 0 if it may now.

        Args:
            address: The client's.
            prefix: The key's, if it has one.
        """
        source = network_of(address)
        wait = self._failures_of_addresses.wait(source)
        if prefix is not None:
            wait = max(wait, self._failures_of_keys.wait(source, prefix))
        return wait

    def note_failure(self, address: str, prefix: str | None) -> None:
        """Count a failed attempt."""
        source = network_of(address)
        self._failures_of_addresses.note(source)
        if prefix is not None:
            self._failures_of_keys.note(source, prefix)

    def wait_after_call(self, key_id: str) -> int:
        """Count a call of the key; return the seconds to wait if it exceeds the limit, else 0."""
        return 0 if self._calls.note(key_id) else max(1, self._calls.wait(key_id))

    @property
    def names_kept(self) -> int:
        """How many names are in memory: at most a few ten thousand."""
        limits = (self._calls, self._failures_of_keys, self._failures_of_addresses)
        return sum(len(limit.windows) for limit in limits)
