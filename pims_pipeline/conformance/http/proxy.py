"""A proxy in front of a vendor's simulator, which plays faults of the network and of servers.

The simulator needs none of them itself. ``HttpVendor`` turns conditions into these faults; add a
fault here when every vendor over HTTP can have it.
"""

import json
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import ClassVar
from urllib.parse import urlsplit

from pims_pipeline.conformance.conditions import RequestKind, VendorCondition
from pims_pipeline.conformance.http.json_paths import Change, changed, has

PAUSE_SECONDS = 0.05
"""Between two bytes of a drip, and between two looks at a client that waits."""

_UPSTREAM_TIMEOUT = 30.0
_FAILED = b'{"error": "the simulator cannot be reached"}'
_PAGE = b"<!doctype html><html><head><title>Maintenance</title></head><body>Soon.</body></html>"
_JSON_TYPE = "application/json"
_ELSEWHERE = "/elsewhere"
"""Where redirects lead: to this server under another name, so that clients take it for another."""
_OWN_HEADERS = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
)
PROXY_CONDITIONS = frozenset(
    {
        VendorCondition.RATE_LIMITED,
        VendorCondition.SERVER_ERROR,
        VendorCondition.UNEXPECTED_RESPONSE,
        VendorCondition.NO_CONTENT,
        VendorCondition.GARBLED,
        VendorCondition.BAD_REQUEST,
        VendorCondition.REDIRECTED,
        VendorCondition.CUT_OFF,
        VendorCondition.TRUNCATED,
        VendorCondition.SLOW_DRIP,
        VendorCondition.HUNG,
    }
)
"""What the proxy plays by itself."""


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """A request on its way to the simulator; ``path`` includes the query."""

    method: str
    path: str
    body: bytes


@dataclass(slots=True)
class _Response:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Fault:
    condition: VendorCondition
    kind: RequestKind | None
    times: int | None
    lifted: Event = field(default_factory=Event)


@dataclass(slots=True)
class _Edit:
    kind: RequestKind
    path: str
    change: Change
    met: bool = False


class FaultProxy:
    """Hands requests on to ``upstream``, but for the faults and edits that are set.

    Attributes:
        base_url: Its own address; use it in place of the simulator's.
    """

    def __init__(
        self, upstream: str, kind_of: Callable[[ProxiedRequest], RequestKind | None]
    ) -> None:
        """Listen on a free port of this machine; ``start`` serves it.

        Args:
            upstream: The simulator's address, over plain HTTP.
            kind_of: What a request is for; None for one that no fault concerns.
        """
        self._upstream = urlsplit(upstream).netloc
        self._kind_of = kind_of
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._edits: list[_Edit] = []
        self._actions: dict[RequestKind, Callable[[], object]] = {}
        self._counts: Counter[RequestKind] = Counter()
        self._elsewhere: list[str] = []
        handler = type("BoundHandler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, args=(PAUSE_SECONDS,), daemon=True)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Serve in a background thread."""
        self._thread.start()

    def stop(self) -> None:
        """End every request and the server."""
        self.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_UPSTREAM_TIMEOUT)

    def impose(
        self, condition: VendorCondition, kind: RequestKind | None = None, times: int | None = None
    ) -> None:
        """Play one of ``PROXY_CONDITIONS`` for the next ``times`` requests, or until cleared."""
        with self._lock:
            self._faults.append(_Fault(condition, kind, times))

    def edit(self, kind: RequestKind, path: str, change: Change) -> None:
        """Change the value at ``path`` in JSON responses to requests of ``kind``, until cleared."""
        with self._lock:
            self._edits.append(_Edit(kind, path, change))

    def has_met(self, path: str) -> bool:
        """Whether an edit that is set has met a value at ``path``."""
        with self._lock:
            return any(each.met for each in self._edits if each.path == path)

    def after_next(self, kind: RequestKind, action: Callable[[], object]) -> None:
        """Call ``action`` once, after the simulator's next response of ``kind``."""
        with self._lock:
            self._actions[kind] = action

    def clear(self) -> None:
        """Lift all faults, edits and actions."""
        with self._lock:
            lifted, self._faults, self._edits, self._actions = self._faults, [], [], {}
            self._elsewhere = []
        for fault in lifted:
            fault.lifted.set()

    def count(self, kind: RequestKind) -> int:
        """How many requests of ``kind`` there were since the start."""
        with self._lock:
            return self._counts[kind]

    def sent_elsewhere(self) -> list[str]:
        """The whole requests that followed a redirect, since the last ``clear``."""
        with self._lock:
            return [*self._elsewhere]

    def note_elsewhere(self, request: ProxiedRequest, headers: str) -> None:
        """Keep a request that followed a redirect."""
        with self._lock:
            sent = request.body.decode(errors="replace")
            self._elsewhere.append(f"{request.method} {request.path}\n{headers}\n{sent}")

    def taken(self, request: ProxiedRequest) -> "tuple[RequestKind | None, _Fault | None]":
        """The kind of a request and the fault that it meets; both are counted."""
        kind = self._kind_of(request)
        with self._lock:
            if kind is None:
                return None, None
            self._counts[kind] += 1
            fault = next((each for each in self._faults if each.kind in {None, kind}), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return kind, fault

    def response(
        self, request: ProxiedRequest, headers: dict[str, str], kind: RequestKind | None
    ) -> _Response:
        """The simulator's response, edited."""
        received = self._forwarded(request, headers)
        with self._lock:
            edits = [each for each in self._edits if each.kind is kind]
            action = None if kind is None else self._actions.pop(kind, None)
        if edits:
            received.body = _edited(received.body, edits)
        if action is not None:
            action()
        return received

    def _forwarded(self, request: ProxiedRequest, headers: dict[str, str]) -> _Response:
        upstream = HTTPConnection(self._upstream, timeout=_UPSTREAM_TIMEOUT)
        try:
            upstream.request(request.method, request.path, request.body or None, headers)
            received = upstream.getresponse()
            kept = [each for each in received.getheaders() if each[0].lower() not in _OWN_HEADERS]
            return _Response(received.status, received.read(), kept)
        except (OSError, HTTPException):
            return _Response(502, _FAILED, [("Content-Type", _JSON_TYPE)])
        finally:
            upstream.close()


def _edited(body: bytes, edits: list[_Edit]) -> bytes:
    """A JSON body with the edits; another body as it is."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    for each in edits:
        each.met |= has(content, each.path)
        content = changed(content, each.path, each.change)
    return json.dumps(content).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: clients of tests hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    proxy: ClassVar[FaultProxy]
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes, which Nagle's algorithm would hold back from each other.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = ProxiedRequest(self.command, self.path, body)
        if self.path.startswith(_ELSEWHERE):
            self.proxy.note_elsewhere(request, str(self.headers))
            self._send(_REPLACEMENTS[VendorCondition.UNEXPECTED_RESPONSE])
            return
        kind, fault = self.proxy.taken(request)
        if fault is not None and fault.condition is VendorCondition.HUNG:
            self._hold(fault)
            return
        if fault is not None and fault.condition is VendorCondition.REDIRECTED:
            port = self.connection.getsockname()[1]
            self._send(_in_place(307, b"", Location=f"http://localhost:{port}{_ELSEWHERE}"))
            return
        replaced = _replacement(fault)
        if replaced is not None:
            self._send(replaced)
            return
        # Without compression, so that responses can be edited and cut.
        headers = {n: v for n, v in self.headers.items() if n.lower() != "accept-encoding"}
        response = self.proxy.response(request, headers, kind)
        match fault:
            case _Fault(condition=VendorCondition.SLOW_DRIP):
                self._drip(response, fault)
            case _Fault(condition=VendorCondition.CUT_OFF):
                self._send(response, length=len(response.body), part=len(response.body) // 2)
                self.close_connection = True
            case _Fault(condition=VendorCondition.TRUNCATED):
                half = len(response.body) // 2
                self._send(response, length=half, part=half)
            case _:
                self._send(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - http.server's names

    def _send(
        self, response: _Response, *, length: int | None = None, part: int | None = None
    ) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[:part])

    def _drip(self, response: _Response, fault: _Fault) -> None:
        self._send(response, length=max(len(response.body), 1 << 20), part=0)
        self.close_connection = True
        for position in range(len(response.body)):
            try:
                self.wfile.write(response.body[position : position + 1])
            except OSError:
                return
            if fault.lifted.wait(PAUSE_SECONDS):
                return
        self._hold(fault)

    def _hold(self, fault: _Fault) -> None:
        """Wait until the client hangs up or the fault is lifted."""
        self.close_connection = True
        while not fault.lifted.wait(PAUSE_SECONDS):
            if _has_hung_up(self.connection):
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Log nothing: tests count requests."""


def _has_hung_up(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def _replacement(fault: _Fault | None) -> _Response | None:
    """The response in place of the simulator's, if the fault needs none of that."""
    found = None if fault is None else _REPLACEMENTS.get(fault.condition)
    return None if found is None else _Response(found.status, found.body, [*found.headers])


def _in_place(status: int, body: bytes, media_type: str = _JSON_TYPE, **headers: str) -> _Response:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return _Response(status, body, [("Content-Type", media_type), *named])


_REPLACEMENTS = {
    VendorCondition.RATE_LIMITED: _in_place(429, b'{"error": "too many"}', Retry_After="0"),
    VendorCondition.SERVER_ERROR: _in_place(500, b'{"error": "server error"}'),
    VendorCondition.UNEXPECTED_RESPONSE: _in_place(200, _PAGE, "text/html; charset=utf-8"),
    VendorCondition.NO_CONTENT: _in_place(200, b""),
    VendorCondition.GARBLED: _in_place(200, b"OK", "text/plain"),
    VendorCondition.BAD_REQUEST: _in_place(400, b'{"error": "no such parameter"}'),
}
