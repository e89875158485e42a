"""GET /api/sync/{syncId} of a finished sync, with a key, compared to a bare route with one query.

uvicorn serves both, each in its own process, on the same database with the same engine settings;
the same clients load them in turn. Prints the requests per second and latencies of each, and the
ratio of the two. Target: at least half of the bare route's throughput. Run with
``python bench/api_load.py``.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import psutil  # type: ignore[import-untyped]  # it carries no types
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, select
from support.http_load import Round, Target, measure

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.api.server import listen, serve
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.audits import finish_audit, start_audit
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.requests import SyncRequest, record_launch, record_request
from pims_pipeline.store.tables.syncs import sync_requests

ROUNDS = 21
ROUND_SECONDS = 0.8
ENGINE = {"pool_size": 10, "trusted_seconds": 5}
"""The engine settings of `pims serve`."""
RUN = "bench-run"
DAYS = DateRange(date(2026, 3, 9), date(2026, 3, 16))


def main() -> None:
    """Measure and print."""
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="pims-bench"))
        owner_url = start_embedded(Path(home))
        stack.callback(stop_embedded, Path(home))
        engine = create_engine(owner_url)
        migrate(engine)
        sync_id, key = finished_sync(engine)
        api_url = let_api_log_in(engine)
        engine.dispose()
        dagster = stack.enter_context(fake_dagster())
        targets = [
            target("api", f"/api/sync/{sync_id}", {"X-API-Key": key}, stack, api_url, dagster),
            target("bare", f"/syncs/{sync_id}", {}, stack, owner_url),
        ]
        for each in targets:
            measure(each, 1)
        rounds: dict[str, list[Round]] = {each.name: [] for each in targets}
        for _ in range(ROUNDS):
            for each in targets:
                rounds[each.name].append(measure(each, ROUND_SECONDS))
    report(rounds)


def report(rounds: dict[str, list[Round]]) -> None:
    """Print each target's figures, and the ratio of the two."""
    for name, of_target in rounds.items():
        rate = statistics.median(each.rate for each in of_target)
        median, p99 = (
            statistics.median(each.quantile(share) for each in of_target) for share in (0.5, 0.99)
        )
        cpu = statistics.median(each.cpu for each in of_target)
        print(
            f"{name}: {rate:,.0f} requests/s, median {median:.1f} ms, p99 {p99:.1f} ms, "
            f"{cpu:.2f} ms of the server's CPU each"
        )
    ratios = [api.rate / bare.rate for api, bare in zip(rounds["api"], rounds["bare"], strict=True)]
    print(
        f"ratio: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds; target 0.50)"
    )


def finished_sync(engine: Engine) -> tuple[UUID, str]:
    """Store a finished sync that a client requested; returns its id and the client's key."""
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        clinic = add_clinic(
            connection,
            slug="bench",
            name="Bench",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="http://localhost",
        )
        key = create_api_key(connection, clinic, name="bench")
        request = SyncRequest(
            id=uuid4(),
            clinic_id=clinic.id,
            api_key_id=key.id,
            scope="inbound",
            window=DAYS,
            created_at=now,
        )
        record_request(connection, request)
        record_launch(connection, request.id, RUN, now)
        record_audit(connection, clinic, now)
    return request.id, key.text


def record_audit(connection: Connection, clinic: Clinic, now: datetime) -> None:
    """Store the audit of the sync's run."""
    audit_id = start_audit(
        connection,
        clinic=clinic,
        sync_type=Phase.INBOUND,
        window=DAYS,
        run_id=RUN,
        owner=1,
        now=now,
    )
    finish_audit(
        connection,
        audit_id,
        status=AuditStatus.COMPLETED,
        counts=Counts(found=41, created=3, updated=2, unchanged=36),
        fetched_at=now,
        now=now + timedelta(seconds=2),
    )


class _SucceededRun(BaseHTTPRequestHandler):
    """Responds to every query for runs: the run succeeded."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        runs = {"results": [{"runId": RUN, "status": "SUCCESS"}]}
        body = json.dumps({"data": {"runsOrError": runs}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def fake_dagster() -> Iterator[str]:
    """The address of a fake of Dagster's GraphQL server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _SucceededRun) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def target(
    name: str, path: str, headers: dict[str, str], stack: ExitStack, *arguments: str
) -> Target:
    """Start a server in its own process, which ends with ``stack``; returns it with its request."""
    process = subprocess.Popen(
        [sys.executable, __file__, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stack.callback(process.wait, 40)
    stack.callback(process.terminate)
    assert process.stdin is not None
    assert process.stdout is not None
    # Not as arguments, which every user of the machine can read.
    process.stdin.write("\n".join(arguments) + "\n")
    process.stdin.close()
    port = int(process.stdout.readline())
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: application/json"]
    lines += [f"{header}: {value}" for header, value in headers.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return Target(name, port, request, psutil.Process(process.pid))


def serve_api() -> None:
    """Serve the API as `pims serve` does, without its rate limit."""
    configure_logging("INFO", "json")
    url, dagster_url = sys.stdin.read().split()
    with closing(DagsterClient(dagster_url)) as dagster:
        context = ApiContext(
            engine=create_engine(url, **ENGINE),
            dagster=dagster,
            dagster_ui_url=dagster_url,
            partition_start=date(2025, 1, 1),
            requests_per_minute=1_000_000,
        )
        listener = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        serve(create_app(context), listener, lambda: print(port, flush=True))


def serve_bare() -> None:
    """Serve a FastAPI application with one route that does one indexed query."""
    engine = create_engine(sys.stdin.read().strip(), **ENGINE)
    app = FastAPI()

    @app.get("/syncs/{sync_id}")
    def sync(sync_id: UUID) -> dict[str, object]:
        """The request, as stored."""
        with engine.connect() as connection:
            row = connection.execute(
                select(sync_requests).where(sync_requests.c.id == sync_id)
            ).one()
            return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    {"api": serve_api, "bare": serve_bare}.get(sys.argv[-1], main)()
