"""The requests that send log lines to Axiom, with axiom-py's client.

One attempt each, with a timeout. Batches and retries belong in ``axiom``.
"""

import gzip
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

AXIOM_URL: Final = "https://api.axiom.co"

_EDGE = ".edge.axiom.co"
_TIMEOUT_SECONDS = (3.05, 10.0)
"""To connect, and for the response."""

_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class IngestFailed(Exception):
    """A batch was not ingested. The text says why, without the service's own words.

    Attributes:
        is_transient: Whether a retry of the same batch may succeed.
        retry_after: Seconds that the service asks to wait, if it asks.
    """

    def __init__(
        self, reason: str, *, is_transient: bool, retry_after: float | None = None
    ) -> None:
        self.is_transient = is_transient
        self.retry_after = retry_after
        super().__init__(reason)


Ingest = Callable[[Sequence[str]], int]
"""Sends lines, each a JSON object; returns how many of them were refused.

Raises ``IngestFailed`` when the whole batch failed.
"""


class Addresses(NamedTuple):
    """The addresses of Axiom. Edge deployments ingest lines at their own address and path."""

    api: str
    edge: str | None


def axiom_addresses(url: str | None) -> Addresses:
    """The addresses for ``url``: the API's or an edge deployment's; by default Axiom's own."""
    if url and (urlsplit(url).hostname or "").endswith(_EDGE):
        return Addresses(AXIOM_URL, url)
    return Addresses(url or AXIOM_URL, None)


def axiom_ingest(token: str, dataset: str, url: str | None = None) -> Ingest:
    """A function that sends lines to a dataset with axiom-py's client.

    Args:
        token: An API token; a secret.
        dataset: The name of the dataset.
        url: The address of Axiom or of an edge deployment, if it is not ``AXIOM_URL``.
    """
    # The import takes 0.4 s: only installations with Axiom pay it, and on the sink's thread.
    from axiom_py.client import (  # type: ignore[import-untyped] # noqa: PLC0415 - see above; it carries no types
        AxiomError,
        Client,
        ContentEncoding,
        ContentType,
    )
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - too
    from requests.exceptions import RequestException  # noqa: PLC0415 - too

    class Bounded(HTTPAdapter):
        """Sets a timeout, leaves retries to the sink, and keeps the headers of the response."""

        response_headers: Mapping[str, str] = {}

        def send(self, request: "PreparedRequest", **options: object) -> "Response":  # type: ignore[override] # passes on what it is given
            self.response_headers = {}
            response = super().send(request, **{**options, "timeout": _TIMEOUT_SECONDS})  # type: ignore[arg-type] # as above
            self.response_headers = response.headers
            return response

    addresses = axiom_addresses(url)
    # An empty organization; without one, the client would read it from the environment.
    client = Client(token, "", addresses.api, addresses.edge)
    adapter = Bounded(max_retries=0)
    for scheme in ("http://", "https://"):
        client.session.mount(scheme, adapter)

    def ingest(lines: Sequence[str]) -> int:
        payload = gzip.compress("\n".join(lines).encode("utf-8", "replace"), compresslevel=5)
        try:
            status = client.ingest(dataset, payload, ContentType.NDJSON, ContentEncoding.GZIP)
        except AxiomError as error:
            is_transient = (
                error.status in _TRANSIENT or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            )
            raise IngestFailed(
                f"status {error.status}",
                is_transient=is_transient,
                retry_after=_retry_after(adapter.response_headers),
            ) from None
        except RequestException as error:
            raise IngestFailed(type(error).__name__, is_transient=True) from None
        except Exception as error:  # noqa: BLE001 - an odd response must not end the sink's thread
            raise IngestFailed(type(error).__name__, is_transient=False) from None
        return int(status.failed)

    return ingest


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
