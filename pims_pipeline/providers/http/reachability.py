"""Whether a vendor's host can be reached: one request for its first page, without a login.

Any complete response counts, whatever its status: it came through DNS, network, proxy and TLS.
"""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from pims_pipeline.providers.http.client import (
    RequestTimedOut,
    ResponseTooLarge,
    open_client,
    send,
)
from pims_pipeline.providers.http.errors import transport_problem
from pims_pipeline.providers.stop_signal import StopSignal

_MOST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of it.

    Attributes:
        status: Of the response; None without one.
        problem: Why there was none, as a clause; empty if there was.
    """

    status: int | None
    problem: str = ""


def origin_of(base_url: str) -> str:
    """The scheme, host and port of an address, without user, password and path.

    Example:
        >>> origin_of("https://user@pims.example:8443/api?x=1")
        'https://pims.example:8443'
    """
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def reach(origin: str, *, stop: StopSignal, seconds: float) -> Reached:
    """Request ``/`` of the origin; takes ``seconds`` at most.

    Raises:
        RunStopped, TimeLimitReached: From ``stop``.
        ProxyUnusable: If a proxy that the environment names cannot be used.
    """
    client = open_client(timeout=httpx2.Timeout(seconds), follow_redirects=False)
    try:
        request = client.build_request("GET", f"{origin}/")
        response = send(client, request, stop=stop, seconds=seconds, max_bytes=_MOST_BYTES)
    except ResponseTooLarge:
        return Reached(httpx2.codes.OK)
    except RequestTimedOut:
        return Reached(None, f"no complete response within {seconds:g} seconds")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError):
        return Reached(None, "its address is not one")
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        problem = "its certificate is not trusted" if _is_tls(error) else transport_problem(error)
        return Reached(None, problem)
    finally:
        client.close()
    return Reached(response.status_code)


def _is_tls(error: BaseException) -> bool:
    """Whether the certificate was refused."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, ssl.SSLCertVerificationError):
            return True
        each = each.__cause__ or each.__context__
    return False
