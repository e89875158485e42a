"""A server that sends the responses a test lists, for what the simulator cannot play."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass(frozen=True)
class Response:
    """One HTTP response; ``length`` announces another body length than is sent."""

    status: int = 200
    body: bytes = b"[]"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class OddServer:
    """Sends ``responses`` in turn, the last one repeatedly, and records the requests."""

    base_url: str
    responses: list[Response] = field(default_factory=lambda: [Response()])
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def take(self) -> Response:
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


@contextmanager
def odd_server(certificate: Path | None = None) -> Iterator[OddServer]:
    """An ``OddServer`` on a free loopback port, encrypted where a certificate is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/favicon.ico":
                # Browsers request it by themselves; no test lists a response for it.
                self._send(Response(404, b""))
                return
            odd.paths.append(self.path)
            odd.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(odd.take())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.do_GET()

        def _send(self, response: Response) -> None:
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(response.length or len(response.body)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
            """Log nothing: the requests are recorded in ``paths``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        encrypted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        encrypted.load_cert_chain(certificate)
        server.socket = encrypted.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    odd = OddServer(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
