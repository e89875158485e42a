"""Calls of the clinic's adapter: what each may take, and what happens when it has succeeded."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline_tests.reliability.clinic.state import ClinicState

LONG_TIMEOUT, SHORT_TIMEOUT = 20.0, 0.25
"""Read timeouts in seconds: for requests that must succeed, and for those that may fail."""
OnResponse = Callable[[str], None]
Result = TypeVar("Result")


@dataclass
class CallsSide(ClinicState):
    """Calls of the adapter.

    Attributes:
        calls: By endpoint, the requests that the adapter's calls take if none is retried.
        responses: The time and endpoint of each call that succeeded.
        on_response: Called with the endpoint after each of these, before the pipeline uses it.
        on_page: Called after each page of a listing that has pages.
        read_timeout: Of a request to the vendor, in seconds without data.
        request_timeout: Of a whole request to the vendor, in seconds.
    """

    calls: Counter[str] = field(default_factory=Counter)
    responses: list[tuple[datetime, str]] = field(default_factory=list)
    on_response: OnResponse | None = None
    on_page: Callable[[], None] | None = None
    read_timeout: float = SHORT_TIMEOUT
    request_timeout: float = LONG_TIMEOUT

    def provider_options(self) -> ProviderOptions:
        """Fast retries, no rate limit that matters, and this clinic's timeouts."""
        return ProviderOptions(
            login=LoginOptions(artifacts_dir=self.servers.artifacts),
            requests=RequestOptions(
                per_second=100_000,
                retry_base_delay=0.001,
                connect_timeout=LONG_TIMEOUT,
                read_timeout=self.read_timeout,
                total_timeout=self.request_timeout,
            ),
        )

    def called(self, endpoint: str, call: Callable[[], Result], requests: int = 1) -> Result:
        """The result of one of the adapter's calls, which is noted."""
        self.calls[endpoint] += requests
        result = call()
        self.responses.append((self.servers.clock(), endpoint))
        if self.on_response is not None:
            self.on_response(endpoint)
        return result

    def got_page(self) -> None:
        """Note one page of a listing."""
        if self.on_page is not None:
            self.on_page()
