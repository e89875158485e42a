"""HTTP load on one server: clients side by side on kept connections, with its CPU and latencies."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import psutil  # type: ignore[import-untyped]  # it carries no types

CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and the bytes of the request to send to it."""

    name: str
    port: int
    request: bytes
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """The CPU time that the server has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round; ``latencies`` in seconds, sorted."""

    seconds: float
    cpu_seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu(self) -> float:
        """The server's CPU time for one request, in milliseconds, without the database's."""
        return self.cpu_seconds / len(self.latencies) * 1000

    def quantile(self, share: float) -> float:
        """The latency in milliseconds at this quantile, from 0 to 1."""
        return self.latencies[int(share * (len(self.latencies) - 1))] * 1000


def measure(target: Target, seconds: float) -> Round:
    """Send requests from all clients at once for this many seconds."""
    found: list[list[float]] = [[] for _ in range(CLIENTS)]
    began, used = perf_counter(), target.cpu_seconds()
    threads = [
        threading.Thread(target=send_requests, args=(target, began + seconds, latencies))
        for latencies in found
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = perf_counter() - began
    latencies = sorted(latency for each in found for latency in each)
    return Round(took, target.cpu_seconds() - used, latencies)


def send_requests(target: Target, until: float, latencies: list[float]) -> None:
    """Send requests on one connection until then; each response must be complete and 200."""
    with socket.create_connection(("127.0.0.1", target.port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (began := perf_counter()) < until:
            connection.sendall(target.request)
            response = connection.recv(65_536)
            while not is_complete(response):
                response += connection.recv(65_536)
            latencies.append(perf_counter() - began)
            assert response.startswith(b"HTTP/1.1 200"), response[:200]


def is_complete(response: bytes) -> bool:
    """Whether the response has its head and its whole body."""
    head, separator, body = response.partition(b"\r\n\r\n")
    if not separator:
        return False
    _, _, rest = head.lower().partition(b"content-length: ")
    return len(body) == int(rest.partition(b"\r\n")[0])
