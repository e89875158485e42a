"""Paw Planner's server, as far as the adapter uses it, with a calendar in memory.

For tests only. What happens on the network (timeouts, 429, broken responses) is the kit's part.
"""

import json
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

API_KEY = "paw-key-5f1d0c7a"
PAGE_SIZE = 5


class StandIn:
    """One organisation with two locations, ``north`` and ``south``.

    Attributes:
        records: The calendar, by identity; deleted records are in ``deleted``.
        notes: The consultations, by the appointment's identity.
        revoked: Whether the key is no longer accepted.
        leaks: Whether a listing shows the other location's records too.
    """

    def __init__(self) -> None:
        self.clear()
        handler = type("BoundHandler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def clear(self) -> None:
        """Forget everything."""
        self.records: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, dict[str, Any]] = {}
        self.revoked = self.leaks = False
        self._last = 0

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, start: datetime, *, location: str = "north", kind: str = "appointment") -> str:
        """Put half an hour into the calendar; ``start`` is aware."""
        self._last += 1
        identity = f"a{self._last}"
        self.records[identity] = {
            "id": identity,
            "start": start.isoformat(),
            "minutes": 30,
            "kind": kind,
            "state": "booked",
            "location": location,
            "reason": "Limping",
            "patient": {"id": f"p{self._last}", "name": "Juniper", "species": "Canine"},
            "owner": {"name": "Sam Booker", "phone": "555-0100"},
        }
        return identity

    def respond(self, path: str, query: dict[str, list[str]]) -> Any:
        """The JSON of a response; None for a 404."""
        match path.strip("/").split("/")[1:]:
            case ["locations"]:
                return {"locations": ["north", "south"]}
            case ["calendar"]:
                return self._page(query)
            case ["appointments", identity]:
                return self.records.get(identity)
            case ["appointments", identity, "note"]:
                return self.notes.get(identity) if identity in self.records else None
        return None

    def _page(self, query: dict[str, list[str]]) -> Any:
        first, last = (date.fromisoformat(query[name][0]) for name in ("from", "to"))
        found = [
            each
            for each in sorted(self.records.values(), key=lambda each: (each["start"], each["id"]))
            if first <= datetime.fromisoformat(each["start"]).date() <= last
            and (each["location"] == "north" or self.leaks)
        ]
        skipped = (int(query["page"][0]) - 1) * PAGE_SIZE
        pages = -(-len(found) // PAGE_SIZE)
        return {"pages": pages, "items": found[skipped : skipped + PAGE_SIZE]}


class _Handler(BaseHTTPRequestHandler):
    stand_in: ClassVar[StandIn]

    def do_GET(self) -> None:
        """Respond to a request with the right key."""
        parts = urlsplit(self.path)
        status, content = 401, None
        if self.headers.get("X-Api-Key") == API_KEY and not self.stand_in.revoked:
            content = self.stand_in.respond(parts.path, parse_qs(parts.query))
            status = 404 if content is None else 200
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Log nothing."""
