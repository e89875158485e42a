"""Receivers that send without an end: they cost as little as a long body does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pims_pipeline.webhooks.messages import SignedMessage
from pims_pipeline.webhooks.sending import Response, Sender
from pims_pipeline_tests.webhooks.conftest import LOOPBACK

MESSAGE = SignedMessage("msg_1", b"{}", {"webhook-id": "msg_1"})
TOO_LONG = "its response is longer than 64 KiB"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


@contextmanager
def flood(start: bytes, again: bytes) -> Iterator[str]:
    """A receiver that sends ``start``, and then ``again`` until the client closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(start)
                while True:
                    connection.sendall(again * 1000)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks"
    finally:
        listener.close()
        thread.join(30)


@pytest.mark.parametrize(
    ("start", "again"),
    [(b"", HINTS), (CHUNKS, b"1\r\nx\r\n"), (CHUNKS, b"1;" + b"x" * 90 + b"\r\nx\r\n")],
    ids=["informational responses", "tiny chunks", "chunk extensions"],
)
def test_a_flood_ends_before_its_timeout(start: bytes, again: bytes) -> None:
    with flood(start, again) as url, Sender(LOOPBACK, seconds=60) as sender:
        assert sender.send(url, MESSAGE) == Response(TOO_LONG)
