"""A server that takes connections and then stalls, in several ways."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

PAUSE_SECONDS = 0.05
"""Between two pieces of a drip: far less than any read may be silent."""
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass
class StallingServer:
    """Attributes:
    base_url: Over plain HTTP, whatever the manner.
    met: Set once a client is connected.
    ended: Set when the server ends; every wait of it observes this.
    """

    base_url: str
    met: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)

    def sends(self, connection: socket.socket, piece: bytes) -> bool:
        """Send a piece and pause; False when the client has gone."""
        try:
            connection.sendall(piece)
        except OSError:
            return False
        return not self.ended.wait(PAUSE_SECONDS)


Manner = Callable[[StallingServer, socket.socket], None]


def silence(server: StallingServer, connection: socket.socket) -> None:  # noqa: ARG001 - a manner
    """Says nothing: before headers, or in the middle of a handshake if the client wants TLS."""
    server.ended.wait()


def headers_then_silence(server: StallingServer, connection: socket.socket) -> None:
    connection.sendall(_JSON + b"Content-Length: 100\r\n\r\n[")
    server.ended.wait()


def dripping_headers(server: StallingServer, connection: socket.socket) -> None:
    connection.sendall(_JSON)
    while server.sends(connection, b"X: y\r\n"):
        pass


def dripping_body(server: StallingServer, connection: socket.socket) -> None:
    connection.sendall(_JSON + b"Content-Length: 100000\r\n\r\n[")
    while server.sends(connection, b" "):
        pass


def slow_redirect(server: StallingServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 100000\r\n\r\n")
    while server.sends(connection, b" "):
        pass


def endless_body(server: StallingServer, connection: socket.socket) -> None:
    connection.sendall(_JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    while server.sends(connection, b"1000\r\n" + b" " * 0x1000 + b"\r\n"):
        pass


def flood(server: StallingServer, connection: socket.socket) -> None:
    """A body without an end, as fast as it goes."""
    connection.sendall(_JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while not server.ended.is_set():
        try:
            connection.sendall(piece)
        except OSError:
            return


STALLS: tuple[Manner, ...] = (
    silence,
    headers_then_silence,
    dripping_headers,
    dripping_body,
    slow_redirect,
    endless_body,
)


@contextmanager
def stalling_server(manner: Manner) -> Iterator[StallingServer]:
    """A ``StallingServer`` on a free loopback port; all its threads end with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = StallingServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threads: list[Thread] = []

        def serve(connection: socket.socket) -> None:
            with connection:
                server.met.set()
                manner(server, connection)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if server.ended.is_set():
                    connection.close()
                    return
                threads.append(Thread(target=serve, args=(connection,)))
                threads[-1].start()

        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.ended.set()
            # Wakes the thread that accepts.
            socket.create_connection(listener.getsockname()).close()
            accepting.join()
            for thread in threads:
                thread.join()
