"""Which names the API answers to, and which pages may call it.

A key protects what is under ``/api``. The rest, and whoever keeps a key in a browser, is
protected here: a page that gives its own name this server's address (DNS rebinding) is refused
by ``Host``, a page of another server by ``Origin``. Probes of ``/health`` and ``/ready`` may name
the server as they like: what they learn is no secret.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pims_pipeline.api.errors import error_response
from pims_pipeline.local_trust.origins import OwnAddresses, refuse_foreign

_PROBED = frozenset({"/health", "/ready"})


class OwnVisitors:
    """Refuses requests that name another server, or come from another server's pages.

    Args:
        app: What is inside.
        own: The API's addresses.
        cors_origins: Origins of other servers whose pages may call it.
        clock: The present moment, aware.
    """

    def __init__(
        self,
        app: ASGIApp,
        own: OwnAddresses,
        cors_origins: Sequence[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._own = own
        self._cors_origins = tuple(cors_origins)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request answered, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _PROBED:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = refuse_foreign(
            self._own,
            headers.getlist("host"),
            headers.getlist("origin"),
            trusted_origins=self._cors_origins,
        )
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = error_response(refusal.status, refusal.reason, now=self._clock())
        await response(scope, receive, send)
