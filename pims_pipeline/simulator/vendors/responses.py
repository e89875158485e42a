"""How any vendor's responses leave the simulator: faulty on purpose, late, stalled, or cut off.

``faults`` decides which fault applies. A vendor's own modules make the sound responses, and have
the faults that no other vendor has.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pims_pipeline.simulator.faults import STALLS, Fault, FaultKind
from pims_pipeline.simulator.vendors.odd_forms import Json, apply_oddity

_MAINTENANCE = (
    "<!doctype html><html lang='en'><head><title>Scheduled maintenance</title></head>"
    "<body><h1>We will be back shortly</h1></body></html>"
)
_DRIP_SECONDS = 4.0
_ENDLESS_SECONDS = 0.05
_ENDLESS_PIECE = b" " * 4096


def fault_response(fault: Fault) -> Response | None:
    """The response that a fault puts in place of the sound one, if it replaces it."""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            wait = None if fault.retry_after is None else f"{fault.retry_after:g}"
            headers = {} if wait is None else {"Retry-After": wait}
            return JSONResponse({"error": "Too many requests"}, status_code=429, headers=headers)
        case FaultKind.SERVER_ERROR:
            return JSONResponse({"error": "Server Error"}, status_code=500)
        case FaultKind.HTML:
            return HTMLResponse(_MAINTENANCE)
        case FaultKind.NOT_A_LIST:
            return JSONResponse({"error": "The calendar could not be read."})
        case _:
            return None


def apply_fault(
    fault: Fault | None, response: Response, describe_oddly: Callable[[Json], Json]
) -> Response:
    """The sound response, cut off, stalled or made odd by the fault.

    Args:
        fault: The fault that applies, if any.
        response: The sound response.
        describe_oddly: Gives the vendor's JSON odd descriptions.
    """
    body = bytes(response.body)
    if fault is None:
        return response
    if fault.kind is FaultKind.CUT_OFF:
        return CutOffResponse(body, media_type=response.media_type)
    if fault.kind is FaultKind.TRUNCATED_JSON:
        return Response(body[: len(body) // 2], media_type=response.media_type)
    if fault.kind in STALLS:
        return StallingResponse(fault, body, response.media_type)
    return apply_oddity(fault.kind, response, describe_oddly)


class CutOffResponse(Response):
    """Promises its whole body, sends half, and lets the connection drop."""

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - the ASGI signature
        receive: Receive,  # noqa: ARG002 - as above
        send: Send,
    ) -> None:
        """Send the first half of the body."""
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        )  # fmt: skip
        half = self.body[: len(self.body) // 2]
        # The body is never completed: the server then closes the connection under the client.
        await send({"type": "http.response.body", "body": half, "more_body": True})


class StallingResponse(Response):
    """Begins, and ends only when the client or the server does."""

    def __init__(self, fault: Fault, body: bytes, media_type: str | None) -> None:
        super().__init__(body, media_type=media_type)
        self._kind = fault.kind
        self._pause: float | None = fault.seconds or _DRIP_SECONDS
        if self._kind is FaultKind.HANG_AFTER_HEADERS:
            self._pause = None
        elif self._kind is FaultKind.ENDLESS:
            self._pause = _ENDLESS_SECONDS
            del self.headers["content-length"]

    def _pieces(self) -> Iterator[bytes]:
        match self._kind:
            case FaultKind.DRIP:
                return (bytes([byte]) for byte in self.body)
            case FaultKind.ENDLESS:
                return repeat(_ENDLESS_PIECE)
            case _:
                return iter([b""])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers, then piece by piece, with pauses."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        stopping: asyncio.Event = scope["app"].state.simulator.stopping
        ends = [asyncio.create_task(_gone(receive)), asyncio.create_task(stopping.wait())]
        try:
            for piece in self._pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                ended, _ = await asyncio.wait(
                    ends, timeout=self._pause, return_when=asyncio.FIRST_COMPLETED
                )
                if ended:
                    return
        finally:
            for end in ends:
                end.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def delay_response(
    request: Request, delays: Sequence[Fault], stopping: asyncio.Event
) -> None:
    """Wait for the faults' delays; end early when the client hangs up or the server stops."""
    for fault in delays:
        seconds = None if fault.kind is FaultKind.HANG else fault.seconds
        waits: list[asyncio.Task[object]] = [asyncio.create_task(stopping.wait())]
        if seconds is None:
            waits.append(asyncio.create_task(_gone(request.receive)))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def _gone(receive: Receive) -> object:
    """Returns once the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    return None
