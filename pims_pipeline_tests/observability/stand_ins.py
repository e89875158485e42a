"""Loopback servers that implement one call each of Slack and Axiom as documented.

They share no code with the pipeline, refuse what the services refuse, and send the faults
that a test queues, in order.
"""

import gzip
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, NamedTuple


class Canned(NamedTuple):
    """A response of a stand-in. ``body`` is sent as JSON unless it is text already."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = {}


HANG_UP = Canned(0, "")
"""Closes the connection instead of sending a response."""


@dataclass
class StandIn:
    """A server that records its requests and fails as a test wants.

    Attributes:
        faults: Responses sent instead of its own, the first one next.
        address: Where it listens, with a slash at the end.
    """

    token: str
    address: str = ""
    faults: deque[Canned] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def respond(self, path: str, headers: Mapping[str, str], body: bytes) -> Canned:
        raise NotImplementedError

    def own_or_fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Canned:
        with self.changed:
            self.asked.append(path)
            response = self.faults.popleft() if self.faults else self.respond(path, headers, body)
            self.changed.notify_all()
            return response

    def wait_for(self, number: int, seconds: float = 20) -> None:
        """Wait until it has had so many requests."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= number, timeout=seconds)


@dataclass
class Watcher(StandIn):
    """A monitoring service that is called as a heartbeat."""

    token: str = ""

    def respond(self, path: str, headers: Mapping[str, str], body: bytes) -> Canned:  # noqa: ARG002 - the base's signature
        return Canned(200, "OK")


@dataclass
class Slack(StandIn):
    """``chat.postMessage``: https://docs.slack.dev/reference/methods/chat.postMessage."""

    channel: str = "C0123456789"
    posted: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, path: str, headers: Mapping[str, str], body: bytes) -> Canned:
        if path != "/api/chat.postMessage":
            return self.refused("unknown_method")
        if headers["Authorization"] != f"Bearer {self.token}":
            return self.refused("invalid_auth")
        if headers["Content-Type"] != "application/json;charset=utf-8":
            return self.refused("invalid_post_type")
        message = json.loads(body)
        if error := self.fault_of(message):
            return self.refused(error)
        self.posted.append(message)
        content = {"ok": True, "channel": self.channel, "ts": "1503435956.000247", "message": {}}
        return Canned(200, content)

    def fault_of(self, message: Mapping[str, Any]) -> str | None:
        if message.get("channel") != self.channel:
            return "channel_not_found"
        if not message.get("text") or len(message["text"]) > 40_000:
            return "no_text"
        blocks = message.get("blocks", [])
        acceptable = len(blocks) <= 50 and all(self.is_section(block) for block in blocks)
        return None if acceptable else "invalid_blocks"

    @staticmethod
    def is_section(block: Mapping[str, Any]) -> bool:
        text = block["text"]
        kind = (block["type"], text["type"])
        return kind == ("section", "mrkdwn") and 1 <= len(text["text"]) <= 3_000

    @staticmethod
    def refused(error: str) -> Canned:
        """A refusal; Slack sends it with status 200."""
        return Canned(200, {"ok": False, "error": error})

    @staticmethod
    def rate_limited(seconds: int) -> Canned:
        content = {"ok": False, "error": "ratelimited"}
        return Canned(429, content, {"Retry-After": str(seconds)})

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.posted]

    def shown(self) -> str:
        """Every message of the channel."""
        return json.dumps(self.posted, ensure_ascii=False)


@dataclass
class Axiom(StandIn):
    """``ingest``: https://axiom.co/docs/restapi/endpoints/ingestIntoDataset."""

    dataset: str = "pims"
    batches: list[list[dict[str, Any]]] = field(default_factory=list)

    def respond(self, path: str, headers: Mapping[str, str], body: bytes) -> Canned:
        if headers["Authorization"] != f"Bearer {self.token}":
            return Canned(403, {"message": "forbidden"})
        if path not in {f"/v1/datasets/{self.dataset}/ingest", f"/v1/ingest/{self.dataset}"}:
            return Canned(404, {"message": "dataset not found"})
        if headers["Content-Type"] != "application/x-ndjson":
            return Canned(415, {"message": "unsupported content type"})
        text = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        events = [json.loads(line) for line in text.decode().splitlines()]
        self.batches.append(events)
        content = {
            "ingested": len(events),
            "failed": 0,
            "failures": [],
            "processedBytes": len(text),
            "blocksCreated": 0,
            "walLength": len(events),
        }
        return Canned(200, content)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch]

    @property
    def event_names(self) -> list[str]:
        return [event["event"] for event in self.events]


@contextmanager
def serving(stand_in: StandIn) -> Iterator[None]:
    """The stand-in on a port of its own, for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            response = stand_in.own_or_fault(self.path, dict(self.headers), body)
            if response == HANG_UP:
                self.close_connection = True
                return
            content = response.body if isinstance(response.body, str) else json.dumps(response.body)
            self.send_response(response.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content.encode())))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stand_in.address = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
