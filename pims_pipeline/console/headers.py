"""The headers of every response of the console, the content security policy among them.

Nothing inline: no script, no style, no event handler in any page. Pictures are drawn as SVG in the
page, with classes.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pims_pipeline.local_trust.page_policy import PAGE_POLICY

_HEADERS = (
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Without a referrer, browsers send no origin with a form.
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class PageHeaders:
    """Adds the headers to every response.

    Args:
        app: The inner application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        await self._app(scope, receive, sending)
