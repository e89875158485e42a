"""A server that gives the answers a test writes down, for what no simulator plays."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; ``length`` promises another body length than is sent."""

    status: int = 200
    body: bytes = b"[]"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class OddServer:
    """Gives ``answers`` in turn, the last one for ever, and notes what it was asked."""

    base_url: str
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def take(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def odd_server(certificate: Path | None = None) -> Iterator[OddServer]:
    """An ``OddServer`` on a free loopback port, encrypted where a certificate is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/favicon.ico":
                # Browsers ask for it unbidden; no test writes an answer for it.
                self._give(Answer(404, b""))
                return
            told.paths.append(self.path)
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._give(told.take())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.do_GET()

        def _give(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(answer.length or len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
            """Quiet: what was asked is noted in ``paths``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        encrypted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        encrypted.load_cert_chain(certificate)
        server.socket = encrypted.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    told = OddServer(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
