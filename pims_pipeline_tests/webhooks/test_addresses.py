"""Requests go to checked addresses only: at the connection, not only when they are stored."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import ip_network
from typing import Any

import pytest

from pims_pipeline.domain.webhooks.receivers import BadWebhookUrl, checked_url, may_be_called
from pims_pipeline.webhooks.messages import SignedMessage
from pims_pipeline.webhooks.sending import Response, Sender, check_literal_host
from pims_pipeline_tests.webhooks.conftest import LOOPBACK
from pims_pipeline_tests.webhooks.receiver import Receiver, status

MESSAGE = SignedMessage("msg_1", b'{"data": {"seq": 1}}', {"webhook-id": "msg_1"})
NOT_PUBLIC = Response("its address is not public")
PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104 - refused here
    "10.0.0.1",
    "172.16.4.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "64:ff9b:1::7f00:1",
    "fec0::1",
    "3fff::1",
    "5f00::1",
    "192.0.0.8",
    "192.88.99.1",
    "not an address",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not may_be_called(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert may_be_called(address, ())
    assert not may_be_called(address, (), only_allowed=True)


def test_an_operator_may_allow_networks() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))

    assert may_be_called("10.1.2.3", allowed, only_allowed=True)
    assert may_be_called("::ffff:10.1.2.3", allowed)
    assert may_be_called("fd00::7", allowed)
    assert not may_be_called("10.2.0.1", allowed)
    # A tunnel through an allowed address that ends at this machine.
    assert not may_be_called("2001:0:a01:1::80ff:fffe", allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/hooks",
        "ftp://app.example",
        "https://",
        "https:///hooks",
        "app.example",
        "https://user:secret@app.example/",
        "https://app.example/#part",
        "https://app.example:99999/",
        "https://app.example/a b",
        "https://app.example/\r\nhost: other",
        "https://ápp.example/",
        "https://app.example/" + "x" * 2000,
        "",
    ],
)
def test_wrong_addresses_are_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(BadWebhookUrl) as caught:
        checked_url(url, plain_allowed=False)
    assert "secret" not in str(caught.value)


def test_right_addresses_are_accepted() -> None:
    for url in ("https://app.example", "https://app.example:8443/hooks?token=7", "https://[::1]/"):
        assert checked_url(url, plain_allowed=False) == url
    assert checked_url("http://10.1.0.1/", plain_allowed=True) == "http://10.1.0.1/"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"])
def test_this_machine_is_never_called_unless_allowed(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    with Sender() as sender:
        assert sender.send(url, MESSAGE) == NOT_PUBLIC
        assert sender.send(url.replace("http:", "https:"), MESSAGE) == NOT_PUBLIC
    assert receiver.received == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "api.localhost.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "10.0.0.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
    ],
)
def test_addresses_that_are_not_public_cannot_be_registered(host: str) -> None:
    with pytest.raises(BadWebhookUrl, match="PIMS_WEBHOOK_ALLOWED_NETWORKS"):
        check_literal_host(f"https://{host}:8443/hooks", ())


def test_names_and_allowed_addresses_can_be_registered() -> None:
    check_literal_host("https://localhost/", LOOPBACK)
    check_literal_host("http://127.0.0.1/", LOOPBACK)
    check_literal_host("https://93.184.216.34/", ())
    check_literal_host("https://no-such-name.example/", ())
    with pytest.raises(BadWebhookUrl):
        check_literal_host("http://93.184.216.34/", LOOPBACK)


Lookup = Callable[..., Any]


class Names:
    """Answers name lookups in turn; the last answer stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self._real = socket.getaddrinfo
        self._lock = threading.Lock()
        self.lookups = 0

    def __call__(self, host: object, port: object, *rest: Any, **named: Any) -> Any:
        if host != "app.example":
            return self._real(host, port, *rest, **named)  # type: ignore[arg-type]  # as it is called
        with self._lock:
            self.lookups += 1
            found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(str(port))))
            for address in found
        ]


def test_a_name_that_moves_to_loopback_after_the_check_is_not_called(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """It is looked up once, and the connection goes to the address that was checked."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    only_the_first = (ip_network("127.0.0.2/32"),)
    url = receiver.url.replace("127.0.0.1", "app.example")

    with Sender(only_the_first, seconds=2) as sender:
        first = sender.send(url, MESSAGE)
        second = sender.send(url, MESSAGE)

    assert first == Response("no connection (ConnectError)")
    assert second == NOT_PUBLIC
    assert (names.lookups, receiver.received) == (2, [])


def test_a_name_with_one_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.216.34", "127.0.0.1"]))
    url = receiver.url.replace("127.0.0.1", "app.example")

    with Sender(()) as sender:
        assert sender.send(url.replace("http:", "https:"), MESSAGE) == NOT_PUBLIC


def test_the_next_address_is_tried_if_the_first_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.2", "127.0.0.1"]))
    with Sender(LOOPBACK) as sender:
        assert sender.send(receiver.url.replace("127.0.0.1", "app.example"), MESSAGE) == Response()
    [got] = receiver.received
    assert got.headers["host"].startswith("app.example:")


def test_an_address_that_does_not_respond_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.2", "127.0.0.1"]))
    silent = ("127.0.0.2", int(receiver.url.rpartition(":")[2].partition("/")[0]))
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(silent)
        listener.listen(0)
        # Its queue is full: it drops further attempts.
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(silent)
        with Sender(LOOPBACK, seconds=1) as sender:
            url = receiver.url.replace("127.0.0.1", "app.example")
            assert sender.send(url, MESSAGE) == Response()


def test_a_proxy_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """It would look names up itself, and connect to whatever they are."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, receiver.url)
    with Sender(seconds=2) as sender:
        assert sender.send("http://10.0.0.1/", MESSAGE) == NOT_PUBLIC
    assert receiver.received == []


def test_cookies_of_one_receiver_are_not_sent_to_another(receiver: Receiver) -> None:
    receiver.reply = status(200, set_cookie="session=7; Path=/")
    with Sender(LOOPBACK) as sender:
        sender.send(receiver.url, MESSAGE)
        sender.send(receiver.url, MESSAGE)
    assert ["cookie" in each.headers for each in receiver.received] == [False, False]
