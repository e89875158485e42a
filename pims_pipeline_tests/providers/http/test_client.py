"""Every request ends: within its own limit, and at once when the run stops."""

import gzip
import ipaddress
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pims_pipeline.providers.http import client as http_client
from pims_pipeline.providers.http import exchange
from pims_pipeline.providers.idexx_neo.client import IdexxNeoClient
from pims_pipeline.providers.idexx_neo.session import NeoSession
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.port import ContractViolation, TimeLimitReached, TransientError
from pims_pipeline.providers.stop_signal import POLL_SECONDS, RunStopped, StopSignal
from pims_pipeline_tests.providers.odd_server import Response, odd_server
from pims_pipeline_tests.providers.stalling_server import (
    STALLS,
    Manner,
    StallingServer,
    flood,
    silence,
    stalling_server,
)
from pims_pipeline_tests.providers.stopping import DEADLINE_S, ended_by_stop

LONG = 600.0
"""Seconds, of the limits that must not be waited for."""


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_TRIES", 1)


@contextmanager
def client_of(
    base_url: str, stop: StopSignal | None = None, **options: float
) -> Iterator[IdexxNeoClient]:
    session = NeoSession(
        account=f"{base_url} {threading.get_ident()} {datetime.now(UTC)}",
        base_url=base_url,
        cookies=(),
        expires_at=datetime.now(UTC) + timedelta(hours=8),
    )
    limits = {"connect_timeout": LONG, "read_timeout": LONG, "total_timeout": LONG}
    hurried = {"per_second": 1000.0, "retry_base_delay": 0.001}
    client = IdexxNeoClient(
        session,
        RequestOptions(**{**hurried, **limits, **options}),
        clock=lambda: datetime.now(UTC),
        stop=stop,
    )
    try:
        yield client
    finally:
        client.close()


def fetch(client: IdexxNeoClient) -> bytes | None:
    return client.get("/appointments/x", {}, what="the calendar")


def got(http: httpx2.Client) -> httpx2.Response:
    request = http.build_request("GET", "/")
    return http_client.send(http, request, stop=StopSignal(), seconds=LONG)


@pytest.mark.parametrize("manner", STALLS, ids=lambda manner: manner.__name__)
def test_a_request_that_stalls_ends_with_its_time_limit(manner: Manner) -> None:
    with (
        stalling_server(manner) as server,
        client_of(server.base_url, total_timeout=0.3) as client,
        pytest.raises(TransientError, match=r"not complete within 0\.3 s"),
    ):
        fetch(client)


def test_a_handshake_that_stalls_ends_with_the_requests_time_limit() -> None:
    with (
        stalling_server(silence) as server,
        client_of(server.base_url.replace("http:", "https:"), total_timeout=0.3) as client,
        pytest.raises(TransientError),
    ):
        fetch(client)


def test_a_silence_within_a_request_has_a_limit_of_its_own() -> None:
    with (
        stalling_server(silence) as server,
        client_of(server.base_url, read_timeout=0.3) as client,
        pytest.raises(TransientError, match="did not respond in time"),
    ):
        fetch(client)


def test_a_body_without_an_end_is_not_read_beyond_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 2**20)
    with (
        stalling_server(flood) as server,
        client_of(server.base_url) as client,
        pytest.raises(ContractViolation, match="larger than"),
    ):
        fetch(client)


def write_certificate(key_path: Path, certificate_path: Path) -> None:
    """A self-signed certificate of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("scheme", ["http:", "https:"])
@pytest.mark.parametrize("manner", STALLS, ids=lambda manner: manner.__name__)
def test_a_run_that_stops_ends_a_request_wherever_it_is(manner: Manner, scheme: str) -> None:
    stop = StopSignal()
    with (
        stalling_server(manner) as server,
        client_of(server.base_url.replace("http:", scheme), stop) as client,
    ):
        ended = ended_by_stop(lambda: fetch(client), stop, server.met.is_set)
    # A handshake fails at once when the server responds in plain text.
    assert isinstance(ended, RunStopped | TransientError if scheme == "https:" else RunStopped)


def test_a_run_that_stops_does_not_wait_for_a_host_to_be_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking, found = Event(), Event()

    def look_up(*_: object, **__: object) -> list[object]:
        looking.set()
        assert found.wait(DEADLINE_S)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stop = StopSignal()
    with client_of("http://vendor.example.test", stop) as client:
        ended = ended_by_stop(lambda: fetch(client), stop, looking.is_set)
    found.set()
    assert isinstance(ended, RunStopped)


@pytest.mark.parametrize("status", [429, 503])
def test_a_run_that_stops_does_not_wait_for_the_next_try(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(exchange, "MAX_TRIES", 4)
    stop = StopSignal()
    response = Response(status, headers={"Retry-After": "50"} if status == 429 else {})
    with odd_server() as server, client_of(server.base_url, stop, retry_base_delay=60) as client:
        server.responses = [response]

        ended = ended_by_stop(lambda: fetch(client), stop, lambda: bool(server.paths))
        assert len(server.paths) == 1
    assert isinstance(ended, RunStopped)


def test_a_run_that_stops_does_not_wait_for_its_turn_at_the_account() -> None:
    stop = StopSignal()
    with (
        odd_server() as server,
        client_of(server.base_url, stop, per_second=0.001) as client,
    ):
        assert fetch(client) == b"[]"
        ended = ended_by_stop(lambda: fetch(client), stop, lambda: True)
        assert len(server.paths) == 1
    assert isinstance(ended, RunStopped)


@pytest.mark.parametrize("manner", STALLS, ids=lambda manner: manner.__name__)
def test_a_clinic_whose_time_is_up_ends_its_request(manner: Manner) -> None:
    clinic = StopSignal().child(seconds=0.3, explanation="the clinic's time is up")
    with (
        stalling_server(manner) as server,
        client_of(server.base_url, clinic) as client,
        pytest.raises(TimeLimitReached, match="the clinic's time is up"),
    ):
        fetch(client)


def test_connections_through_a_proxy_obey_the_limits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with stalling_server(silence) as server:
        monkeypatch.setenv("HTTP_PROXY", server.base_url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with (
            client_of("http://vendor.example.test", total_timeout=0.3) as client,
            pytest.raises(TransientError, match=r"not complete within 0\.3 s"),
        ):
            fetch(client)
        assert server.met.is_set()


@pytest.mark.parametrize(
    "proxy", ["socks5://ana:hunter2@proxy.example:1080", "ftp://ana:hunter2@h", "http://a:hunter2"]
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_and_not_shown(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with (
        pytest.raises(http_client.ProxyUnusable, match="ALL_PROXY") as raised,
        client_of("http://vendor.example.test", total_timeout=0.3),
    ):
        pass
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


@contextmanager
def pausing_tls_server(directory: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Where a body comes in pieces, with pauses; and the context that trusts its server."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    write_certificate(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def pieces(server: StallingServer, connection: socket.socket) -> None:
        with (
            suppress(ssl.SSLError),  # who does not trust the certificate leaves
            context.wrap_socket(connection, server_side=True) as secure,
        ):
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n")
            for piece in (b"[1", b", ", b"2]"):
                server.ended.wait(1.5 * POLL_SECONDS)
                secure.sendall(piece)

    with stalling_server(pieces) as server:
        trusting = ssl.create_default_context(cafile=str(certificate))
        yield server.base_url.replace("http:", "https:"), trusting


def test_a_body_that_pauses_arrives_whole_over_tls(tmp_path: Path) -> None:
    with (
        pausing_tls_server(tmp_path) as (base_url, trusting),
        httpx2.Client(base_url=base_url, verify=trusting, trust_env=False) as http,
    ):
        http_client.limit_network(http)
        response = got(http)
    assert response.content == b"[1, 2]"


def test_clients_trust_whom_the_environment_names_when_they_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first client trusts the default certificates; the second has others."""

    def ask(base_url: str) -> httpx2.Response:
        with http_client.open_client(base_url=base_url, timeout=LONG) as http:
            return got(http)

    with pausing_tls_server(tmp_path) as (base_url, _):
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(base_url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert ask(base_url).content == b"[1, 2]"


def test_a_body_that_is_compressed_twice_is_not_decoded() -> None:
    bomb = gzip.compress(gzip.compress(bytes(10_000_000)))
    with odd_server() as server, httpx2.Client(base_url=server.base_url) as http:
        server.responses = [Response(body=bomb, headers={"Content-Encoding": "gzip, gzip"})]
        http_client.limit_network(http)
        with pytest.raises(httpx2.DecodingError, match="more than once"):
            got(http)


def test_a_compressed_body_is_given_decoded() -> None:
    body = gzip.compress(b'[{"id": 1}]')
    with odd_server() as server, httpx2.Client(base_url=server.base_url) as http:
        server.responses = [Response(body=body, headers={"Content-Encoding": "gzip"})]
        http_client.limit_network(http)
        response = got(http)
    assert response.content == b'[{"id": 1}]'
    assert response.headers["content-type"] == "application/json"
