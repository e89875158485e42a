"""How often an API key may be used, and how often somebody may guess at one.

Kept in this process's memory: each process of the API counts for itself. What counts as a
failure, and who is asked, is ``auth``'s business.
"""

import ipaddress
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

FAILURES_PER_KEY = 10
"""Failed attempts a minute, per address and key prefix."""
FAILURES_PER_ADDRESS = 100
"""The same, per address, whatever the prefixes."""

_MOST_NAMES = 20_000
_IPV6_NETWORK = 64
"""Bits: whoever has an IPv6 address has at least so large a network of them."""


class _Windows(Storage, MovingWindowSupport):
    """Moments of what was let through, by name: bounded, and by the clock it is given.

    The library's own memory keeps every name it ever saw, and reads the machine's clock.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._moments: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """None are to be expected."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note ``amount`` more, unless that makes more than ``limit`` within ``expiry`` seconds."""
        with self._lock:
            now = self._clock()
            moments = self._within(key, now - expiry, now)
            if len(moments) + amount > limit:
                return False
            moments.extend([now] * amount)
            self._moments[key] = moments
            self._moments.move_to_end(key)
            self._forget(now - expiry)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """When the oldest within ``expiry`` seconds was noted, and how many there are."""
        with self._lock:
            now = self._clock()
            moments = self._within(key, now - expiry, now)
            return (moments[0], len(moments)) if moments else (now, 0)

    def _within(self, key: str, since: float, now: float) -> deque[float]:
        moments = self._moments.get(key) or deque[float]()
        while moments and moments[0] <= since:
            moments.popleft()
        if moments and moments[-1] > now:
            # The clock was set back: what is yet to come would count for as long as that.
            moments.clear()
        return moments

    def _forget(self, since: float) -> None:
        """Drop names not heard of since then; more than enough of them, whenever that was."""
        while self._moments:
            moments = next(iter(self._moments.values()))
            if len(self._moments) <= _MOST_NAMES and moments and moments[-1] > since:
                return
            self._moments.popitem(last=False)

    def knows(self, key: str) -> bool:
        """Whether anything is remembered of ``key``."""
        return key in self._moments

    def __len__(self) -> int:
        return len(self._moments)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Windows that do not move are not kept."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """As ``incr``."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """As ``incr``."""
        raise NotImplementedError

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget everything."""
        with self._lock:
            forgotten = len(self._moments)
            self._moments.clear()
            return forgotten

    def clear(self, key: str) -> None:
        """Forget ``key``."""
        with self._lock:
            self._moments.pop(key, None)


class _Limit:
    """So many a minute, for each of any number of names."""

    def __init__(self, amount: int, clock: Callable[[], float]) -> None:
        self.windows = _Windows(clock)
        self._clock = clock
        self._item: RateLimitItem = RateLimitItemPerMinute(amount)
        self._limiter = MovingWindowRateLimiter(self.windows)

    def note(self, *name: str) -> bool:
        """Count one more; whether it was within the limit."""
        return self._limiter.hit(self._item, *name)

    def wait(self, *name: str) -> int:
        """Whole seconds until there is room for one more; 0 if there is."""
        # As with nearly everyone who calls.
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
        clock: The present moment, aware.
    """

    def __init__(self, requests_per_minute: int, clock: Callable[[], datetime]) -> None:
        def seconds() -> float:
            return clock().timestamp()

        self._calls = _Limit(requests_per_minute, seconds)
        # Apart, so that made-up prefixes cannot push addresses out of a full memory.
        self._failures_of_keys = _Limit(FAILURES_PER_KEY, seconds)
        self._failures_of_addresses = _Limit(FAILURES_PER_ADDRESS, seconds)

    def wait_after_failures(self, address: str, prefix: str | None) -> int:
        """Whole seconds until ``address`` may try a key again; 0 if it may now.

        Args:
            address: Where the request comes from.
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
        """Count a call of the key; whole seconds to wait if it was one too many, else 0."""
        return 0 if self._calls.note(key_id) else max(1, self._calls.wait(key_id))

    @property
    def names_kept(self) -> int:
        """How many names this remembers: never more than a few ten thousand."""
        limits = (self._calls, self._failures_of_keys, self._failures_of_addresses)
        return sum(len(limit.windows) for limit in limits)


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        # A proxy may be told anything; it is a name like any other.
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
