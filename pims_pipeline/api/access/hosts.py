"""The host names that the API accepts, and the origins whose pages may call it.

Keys protect the routes under ``/api``. This protects the other routes, and keys kept in a
browser: the ``Host`` check refuses DNS rebinding, the ``Origin`` check refuses pages of other
servers. ``/health`` and ``/ready`` accept any host name: what they return is no secret.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pims_pipeline.api.errors import error_response
from pims_pipeline.local_trust.origins import OwnAddresses, refuse_foreign

_PROBED = frozenset({"/health", "/ready"})


class HostGuard:
    """Refuses requests to another host name, or from pages of another origin.

    Args:
        app: The inner application.
        own: The API's addresses.
        cors_origins: Other origins whose pages may call it.
        clock: Returns the present time, aware.
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
        """Pass the request on, or refuse it."""
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
