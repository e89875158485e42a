"""The proxy hands on what it is not asked to change, and ends what it holds up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from pims_pipeline.conformance.conditions import RequestKind, VendorCondition
from pims_pipeline.conformance.http.json_paths import put
from pims_pipeline.conformance.http.proxy import FaultProxy, ProxiedRequest
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server
from pims_pipeline_tests.providers.stopping import eventually

BODY = b'{"rows": [{"id": 1}]}'


def kind_of(request: ProxiedRequest) -> RequestKind | None:
    return RequestKind.LISTING if request.path.startswith("/listing") else None


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as odd:
        odd.responses = [Response(body=BODY)]
        yield odd


@pytest.fixture
def proxy(server: OddServer) -> Iterator[FaultProxy]:
    found = FaultProxy(server.base_url, kind_of)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=proxy.base_url, trust_env=False, timeout=30) as http:
        yield http


def test_requests_and_responses_arrive_as_they_were_sent(
    server: OddServer, client: httpx2.Client
) -> None:
    server.responses = [Response(302, b"moved", "text/plain", {"Location": "/login", "X-Y": "z"})]
    response = client.post("/listing?day=1", content=b"sent", headers={"X-Api-Key": "k"})
    assert server.paths == ["/listing?day=1"]
    assert server.headers[0]["x-api-key"] == "k"
    assert (response.status_code, response.content) == (302, b"moved")
    assert (response.headers["Location"], response.headers["X-Y"]) == ("/login", "z")


def test_only_requests_of_the_kind_meet_a_fault_and_are_counted(
    proxy: FaultProxy, client: httpx2.Client
) -> None:
    proxy.impose(VendorCondition.SERVER_ERROR, RequestKind.LISTING, times=1)
    assert client.get("/picture").content == BODY
    assert client.get("/listing").status_code == 500
    assert client.get("/listing").content == BODY
    assert proxy.count(RequestKind.LISTING) == 2


def test_an_edit_changes_the_response_and_says_whether_it_met_its_value(
    proxy: FaultProxy, client: httpx2.Client
) -> None:
    proxy.edit(RequestKind.LISTING, "rows[].id", put("odd"))
    proxy.edit(RequestKind.LISTING, "rows[].nme", put("odd"))
    assert client.get("/listing").json() == {"rows": [{"id": "odd", "nme": "odd"}]}
    assert proxy.has_met("rows[].id")
    assert not proxy.has_met("rows[].nme")
    proxy.clear()
    assert client.get("/listing").content == BODY


def test_what_is_not_json_is_not_edited(
    server: OddServer, proxy: FaultProxy, client: httpx2.Client
) -> None:
    server.responses = [Response(404, b"no such page", "text/plain")]
    proxy.edit(RequestKind.LISTING, "rows[].id", put("odd"))
    assert client.get("/listing").content == b"no such page"
    assert not proxy.has_met("rows[].id")


def test_an_action_happens_once_after_the_next_response(
    proxy: FaultProxy, client: httpx2.Client
) -> None:
    done: list[int] = []
    proxy.after_next(RequestKind.LISTING, lambda: done.append(1))
    client.get("/picture")
    assert done == []
    client.get("/listing")
    client.get("/listing")
    assert done == [1]


@pytest.mark.parametrize("condition", [VendorCondition.CUT_OFF, VendorCondition.TRUNCATED])
def test_half_a_response_is_cut_off_or_seems_whole(
    proxy: FaultProxy, client: httpx2.Client, condition: VendorCondition
) -> None:
    proxy.impose(condition, RequestKind.LISTING)
    if condition is VendorCondition.TRUNCATED:
        assert client.get("/listing").content == BODY[: len(BODY) // 2]
    else:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get("/listing")


@pytest.mark.parametrize("condition", [VendorCondition.HUNG, VendorCondition.SLOW_DRIP])
def test_what_is_held_up_ends_when_the_fault_is_lifted(
    proxy: FaultProxy, client: httpx2.Client, condition: VendorCondition
) -> None:
    proxy.impose(condition, RequestKind.LISTING)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(client.get, "/listing")
        eventually(lambda: proxy.count(RequestKind.LISTING) > 0)
        proxy.clear()
        with pytest.raises(httpx2.RemoteProtocolError):
            held.result(30)


def test_a_server_that_is_gone_is_a_bad_gateway(proxy: FaultProxy, client: httpx2.Client) -> None:
    proxy._upstream = "127.0.0.1:1"
    assert client.get("/listing").status_code == 502
