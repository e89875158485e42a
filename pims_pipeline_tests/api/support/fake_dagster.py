"""A fake of Dagster's webserver: it responds to our GraphQL queries, and executes no runs.

Tests set the states of runs. Its moods are the ways in which a launch can fail; ``test_live``
checks the same queries against the real Dagster.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

SECRET = "postgresql://vet:hunter2@db/pims"


class Mood(Enum):
    """What happens to a launch."""

    WELL = "the run is created"
    REFUSES = "the job is unknown"
    REFUSES_ONCE = "the job is unknown at first"
    BREAKS = "it fails before it creates the run"
    BREAKS_AFTER = "it fails after it created the run"
    HANGS_UP = "the connection closes after the run is created"
    HANGS_UP_BEFORE = "the connection closes before the run is created"
    NOT_DAGSTER = "the server is not Dagster"
    NESTED = "the server sends lists in lists in lists"


@dataclass
class FakeRun:
    """A run in Dagster."""

    job: str
    tags: Mapping[str, str]
    config: Mapping[str, Any]
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "QUEUED"
    failed_steps: tuple[str, ...] = ()


class FakeDagster:
    """The webserver, on a free port. A context manager.

    Attributes:
        runs: By id, oldest first.
        partitions: The clinics that have partitions.
        queries: The names of the operations it received.
        gate: Launches wait until it is set.
    """

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.partitions: set[str] = set()
        self.location_is_loaded = True
        self.mood = Mood.WELL
        self.queries: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.launching = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer._respond(self, self.path, json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def run(self) -> FakeRun:
        """The only run."""
        [run] = self.runs.values()
        return run

    def make_run(self, job: str = "inbound_sync", **tags: str) -> FakeRun:
        run = FakeRun(job, tags, {})
        self.runs[run.id] = run
        return run

    def _respond(self, to: BaseHTTPRequestHandler, path: str, asked: dict[str, Any]) -> None:
        operation = asked["query"].split("(")[0].split()[-1]
        self.queries.append(operation)
        if path != "/graphql" or self.mood is Mood.NOT_DAGSTER:
            _send(to, 200, b"<title>Sign in</title>")
            return
        if self.mood is Mood.NESTED:
            _send(to, 200, b"[" * 100_000)
            return
        if operation != "Launch":
            data = getattr(self, f"_{operation.lower()}")(asked["variables"])
            _send(to, 200, json.dumps({"data": data}).encode())
            return
        self.launching.set()
        self.gate.wait(30)
        if self.mood in {Mood.WELL, Mood.BREAKS_AFTER, Mood.HANGS_UP}:
            launched = self._launch(asked["variables"])
        else:
            launched = {"__typename": "PipelineNotFoundError", "message": SECRET}
        match self.mood:
            case Mood.REFUSES_ONCE:
                self.mood = Mood.WELL
            case Mood.HANGS_UP | Mood.HANGS_UP_BEFORE:
                to.close_connection = True
                return
            case Mood.BREAKS:
                _send(to, 500, SECRET.encode())
                return
            case Mood.BREAKS_AFTER:
                launched = {"__typename": "PythonError", "message": SECRET}
        data = {"addDynamicPartition": {"__typename": "-"}, "launchRun": launched}
        _send(to, 200, json.dumps({"data": data}).encode())

    def _launch(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["partitions"] == "clinics"
        self.partitions.add(asked["slug"])
        params = asked["run"]
        tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
        run = FakeRun(params["selector"]["jobName"], tags, params["runConfigData"])
        self.runs[run.id] = run
        return {"__typename": "LaunchRunSuccess", "run": {"runId": run.id}}

    def _find(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self._matching(asked["filter"])
        return {"runsOrError": {"results": [{"runId": r.id, "status": r.status} for r in found]}}

    def _steps(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "runsOrError": {
                "results": [
                    {
                        "runId": run.id,
                        "status": run.status,
                        "stepStats": [
                            {"stepKey": "fine", "status": "SUCCESS"},
                            *({"stepKey": key, "status": "FAILURE"} for key in run.failed_steps),
                        ],
                    }
                    for run in self._matching(asked["filter"])
                ]
            }
        }

    def _state(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["alerts"]["sensorName"] == "alerting"
        ticks = {"sensorState": {"ticks": [{"timestamp": 1_770_000_030.0}]}}
        daemon = {"daemonStatus": {"lastHeartbeatTime": 1_770_000_000.5}}
        return {
            "instance": {"daemonHealth": daemon},
            "alerts": ticks if self.location_is_loaded else {},
            **{
                name: {"count": sum(each.status in statuses for each in self.runs.values())}
                for name in ("queued", "running")
                if (statuses := asked[name]["statuses"])
            },
        }

    def _check(self, asked: dict[str, Any]) -> dict[str, Any]:
        kind = "PythonError" if self.mood is Mood.REFUSES else "RepositoryLocation"
        assert asked["location"] == "pims_pipeline"
        return {"workspaceLocationEntryOrError": {"locationOrLoadError": {"__typename": kind}}}

    def _matching(self, wanted: dict[str, Any]) -> list[FakeRun]:
        tags = {tag["key"]: tag["value"] for tag in wanted.get("tags", [])}
        return [
            run
            for run in reversed(self.runs.values())
            if run.id in wanted.get("runIds", [run.id]) and tags.items() <= run.tags.items()
        ]


def _send(to: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    to.send_response(status)
    to.send_header("content-length", str(len(body)))
    to.end_headers()
    to.wfile.write(body)
