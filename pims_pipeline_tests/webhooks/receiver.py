"""A receiver of webhooks on this machine, which fails in every way that one may."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook as Verifier


@dataclass(frozen=True, slots=True)
class Received:
    """A request.

    Attributes:
        headers: By names in lower case.
    """

    body: bytes
    headers: dict[str, str]

    @property
    def message(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def seq(self) -> int:
        """The number of the change."""
        number: int = self.message["data"]["seq"]
        return number

    @property
    def case_id(self) -> str:
        """The case that changed."""
        return str(self.message["data"]["caseId"])

    def verified_by(self, secret: str) -> bool:
        """Whether a receiver with that secret accepts the message."""
        Verifier(secret).verify(self.body, self.headers)
        return True


Reply = Callable[[BaseHTTPRequestHandler, Received], None]


def status(code: int, **headers: str) -> Reply:
    """A receiver that responds with that status."""

    def reply(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.send_header("connection", "close")
        handler.end_headers()

    return reply


def large(handler: BaseHTTPRequestHandler, _: Received) -> None:
    """Respond with more than is read."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"x" * 100_000)


@dataclass
class Receiver:
    """What arrived, and how it responds.

    Attributes:
        reply: How it responds to the next requests.
        released: Set at the end, so that a hanging request ends.
    """

    url: str = ""
    reply: Reply = field(default_factory=lambda: status(204))
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the changes that arrived, in that order."""
        return [each.seq for each in self.received]

    def hang(self, *_: object) -> None:
        """Never respond."""
        self.released.wait(60)


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Received(body, headers)
            receiver.received.append(got)
            self.close_connection = True
            receiver.reply(self, got)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
