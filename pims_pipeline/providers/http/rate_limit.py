"""How fast one vendor account may be asked: a token bucket shared by the whole process.

The bucket holds a single token, so that requests are spaced evenly and no second ever
sees more than the rate, not even the first. Retrying is the client's business.
"""

import threading
import time
from collections.abc import Callable

_buckets: dict[str, "TokenBucket"] = {}
_buckets_lock = threading.Lock()


class TokenBucket:
    """Lets ``rate`` callers a second go on; thread-safe.

    Callers are given their moment under a lock and wait for it outside, in the order
    in which they came.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``rate`` is in requests a second; ``clock`` gives monotonic seconds."""
        if rate <= 0:
            raise ValueError(f"a rate of {rate} requests a second lets nobody through")
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next_free = clock()

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self._rate

    def slow_down_to(self, rate: float) -> None:
        """Take the lower of the present rate and ``rate``."""
        with self._lock:
            self._rate = min(self._rate, rate)

    def take(self, wait: Callable[[float], None]) -> None:
        """Wait for a token.

        Args:
            wait: Waits so many seconds, or raises when the caller may not wait so long.
        """
        with self._lock:
            now = self._clock()
            moment = max(now, self._next_free)
            self._next_free = moment + 1 / self._rate
        if moment > now:
            wait(moment - now)

    def hold_off(self, seconds: float) -> None:
        """Give no further token for ``seconds``: the vendor asked the account to wait."""
        with self._lock:
            self._next_free = max(self._next_free, self._clock() + seconds)


def bucket_for(account: str, rate: float) -> TokenBucket:
    """The process's only bucket for ``account``.

    Whoever asks for the lowest rate sets it for all, because the vendor counts the
    account's requests and not ours. Buckets are never dropped: closing one provider and
    opening the next must not win a fresh start.
    """
    with _buckets_lock:
        bucket = _buckets.setdefault(account, TokenBucket(rate))
    bucket.slow_down_to(rate)
    return bucket
