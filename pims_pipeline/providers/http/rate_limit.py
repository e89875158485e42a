"""The rate of requests per vendor account: a token bucket shared by the whole process.

The bucket holds a single token, so that requests are spaced evenly and no second, not even the
first, has more than the rate. Retries belong in an adapter's client.
"""

import threading
import time
from collections.abc import Callable

_buckets: dict[str, "TokenBucket"] = {}
_buckets_lock = threading.Lock()


class TokenBucket:
    """Lets ``rate`` callers a second go on; thread-safe.

    Each caller gets its turn under a lock and waits for it outside, in the order of arrival.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``rate`` is in requests a second; ``clock`` gives monotonic seconds."""
        if rate <= 0:
            raise ValueError(
                f"a rate of {rate} requests a second is not possible: it must be above 0"
            )
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next_free = clock()

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self._rate

    def slow_down_to(self, rate: float) -> None:
        """Set the rate to ``rate`` if that is lower."""
        with self._lock:
            self._rate = min(self._rate, rate)

    def take(self, wait: Callable[[float], None]) -> None:
        """Wait for a token.

        Args:
            wait: Waits so many seconds, or raises when the caller may not wait that long.
        """
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_free)
            self._next_free = turn + 1 / self._rate
        if turn > now:
            wait(turn - now)

    def hold_off(self, seconds: float) -> None:
        """Give no token for ``seconds``, because the vendor asks the account to wait."""
        with self._lock:
            self._next_free = max(self._next_free, self._clock() + seconds)


def bucket_for(account: str, rate: float) -> TokenBucket:
    """The process's only bucket for ``account``.

    The lowest requested rate applies to all, because the vendor counts requests per account.
    Buckets are never dropped, so that a new provider does not start with a free token.
    """
    with _buckets_lock:
        bucket = _buckets.setdefault(account, TokenBucket(rate))
    bucket.slow_down_to(rate)
    return bucket
