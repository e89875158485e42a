"""The API over real HTTP: listening, headers, limits and shutdown."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.api.dependencies import Context
from pims_pipeline.api.server import ApiServer, CannotListen, listen, running_api, url_of
from pims_pipeline.api.syncs.waiting import MOST_WAITERS
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.api.support.clock import Clock

TIMEOUT_SECONDS = 30


class Gate:
    """Reports active requests to a test, and holds them until it opens."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()


@pytest.fixture
def context(dagster: DagsterClient, clock: Clock) -> ApiContext:
    """What the application is built with; no test here uses its database."""
    return ApiContext(
        engine=create_engine("postgresql://127.0.0.1:9/pims"),
        dagster=dagster,
        dagster_ui_url="http://dagster.example",
        partition_start=date(2025, 1, 1),
        requests_per_minute=60,
        clock=clock,
    )


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end of every test."""
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def app(context: ApiContext, gate: Gate) -> FastAPI:
    """The application, with routes that wait."""
    app = create_app(context)
    router = APIRouter()

    @router.get("/test/work")
    def work() -> dict[str, bool]:
        gate.entered.release()
        return {"done": gate.opened.wait(TIMEOUT_SECONDS)}

    @router.get("/test/wait")
    def wait(context: Context) -> dict[str, bool]:
        gate.entered.release()
        return {"stopping": context.stopping.wait(TIMEOUT_SECONDS)}

    app.include_router(router)
    return app


def client(server: ApiServer) -> httpx2.Client:
    return httpx2.Client(base_url=server.base_url, trust_env=False, timeout=TIMEOUT_SECONDS)


def test_active_requests_finish_and_waiting_requests_end(app: FastAPI, gate: Gate) -> None:
    with running_api(app) as server, client(server) as http, ThreadPoolExecutor(2) as threads:
        working = threads.submit(http.get, "/test/work")
        waiting = threads.submit(http.get, "/test/wait")
        for _ in range(2):
            assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
        server.request_stop()

        # It returns while the other request still works.
        assert waiting.result(TIMEOUT_SECONDS).json() == {"stopping": True}
        assert not working.done()
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{server.base_url}/health", trust_env=False)
        gate.opened.set()
        assert working.result(TIMEOUT_SECONDS).json() == {"done": True}


def test_others_are_served_while_as_many_requests_wait_as_may(app: FastAPI, gate: Gate) -> None:
    with (
        running_api(app) as server,
        client(server) as http,
        ThreadPoolExecutor(MOST_WAITERS) as threads,
        httpx2.Client(base_url=server.base_url, trust_env=False, timeout=TIMEOUT_SECONDS) as many,
    ):
        waiting = [threads.submit(many.get, "/test/wait") for _ in range(MOST_WAITERS)]
        for _ in range(MOST_WAITERS):
            assert gate.entered.acquire(timeout=TIMEOUT_SECONDS)
        gate.opened.set()
        assert http.get("/test/work").json() == {"done": True}
        server.request_stop()
        assert {each.result(TIMEOUT_SECONDS).status_code for each in waiting} == {200}


def test_no_header_names_the_server_software(app: FastAPI) -> None:
    with running_api(app) as server, client(server) as http:
        for path in ("/health", "/nowhere"):
            headers = http.get(path).headers
            assert "Server" not in headers
            assert headers["X-Request-Id"]
        assert http.head("/health").status_code == 200


def test_a_body_that_is_sent_in_pieces_is_cut_off(app: FastAPI) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"daysAhead": 3, "padding": "'
        for _ in range(100):
            yield b"x" * 4096

    with running_api(app) as server, client(server) as http:
        response = http.post("/api/sync/inbound", content=pieces())
        after = http.get("/health")

    # The key is checked first: without one the body is not read.
    assert (response.status_code, after.status_code) == (401, 200)


def send_a_header_without_end(connection: socket.socket) -> None:
    """Gives up after 64 MiB."""
    connection.sendall(b"GET /health HTTP/1.1\r\nX-API-Key: ")
    for _ in range(1000):
        connection.sendall(b"k" * 65_536)


def test_headers_without_end_are_refused(app: FastAPI) -> None:
    with running_api(app) as server, client(server) as http:
        url = httpx2.URL(server.base_url)
        with (
            socket.create_connection((url.host, url.port), TIMEOUT_SECONDS) as endless,
            pytest.raises(OSError, match=r"Broken pipe|reset"),
        ):
            send_a_header_without_end(endless)
        long = http.get("/api/sync", headers={"X-API-Key": "k" * 60_000})

    assert long.json()["error"] == "Invalid API key"


def test_a_port_in_use_is_reported_before_anything_is_served(app: FastAPI) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotListen) as error, running_api(app, port=port):
            pass

    assert f"port {port} on 127.0.0.1 cannot be used (address already in use)" in str(error.value)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotListen) as error:
        listen("nowhere.invalid", 0)

    assert str(error.value) == "--host nowhere.invalid is not an address of this machine"


def test_the_address_is_one_that_a_browser_here_can_open() -> None:
    with listen("0.0.0.0", 0) as everywhere, listen("::1", 0) as here:  # noqa: S104 - no request is accepted
        assert url_of(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"
        assert url_of(here) == f"http://[::1]:{here.getsockname()[1]}"
