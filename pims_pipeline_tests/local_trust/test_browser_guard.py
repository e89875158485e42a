"""Which requests the guard passes to a server without a password, and its responses."""

from collections.abc import Mapping
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from pims_pipeline.local_trust.browser_guard import BrowserGuard
from pims_pipeline.local_trust.origins import own_addresses

OURS = "http://127.0.0.1:3000"
JSON = {"Content-Type": "application/json"}
MUTATION = "mutation { wipe }"
ALL_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


async def respond(_request: Request) -> Response:
    return PlainTextResponse("done", headers={"Access-Control-Allow-Origin": "*"})


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("done")
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    """A browser or a program that asks the guarded server."""
    app = Starlette(
        routes=[
            Route("/{path:path}", respond, methods=ALL_METHODS),
            WebSocketRoute("/graphql", talk),
        ]
    )
    return TestClient(BrowserGuard(app, own_addresses("127.0.0.1", 3000)), base_url=OURS)


def page(site: str, mode: str = "cors", dest: str = "empty") -> dict[str, str]:
    """The headers that a browser adds."""
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


LINK = page("cross-site", "navigate", "document")


@pytest.mark.parametrize(("path", "headers"), [
    ("/", {}), ("/runs/1", page("none", "navigate", "document")), ("/assets?query=mutation", LINK),
    ("/main.js", page("same-origin", "no-cors", "script")),
    ("/graphql?query={version}", {}), ("/graphql?query=query A{a} fragment F on T{b}", {}),
    ("/graphql", {"Accept": "text/html"}), ("/runs/1", LINK),
])  # fmt: skip
def test_users_links_programs_and_its_own_pages_may_read(
    client: TestClient, path: str, headers: Mapping[str, str]
) -> None:
    assert client.get(path, headers=headers).text == "done"


@pytest.mark.parametrize("query", [
    MUTATION, "query A { a } mutation B { wipe }&operationName=A", "subscription { logs }",
    "mutation A { a: wipe b: wipe }", "# query\nmutation{wipe}", "\ufeffmutation{wipe}",
    "{version}&query=mutation{wipe}", "", "[{version}]", "not graphql", "{" * 5000 + "a",
    "{" + "a," * 2_500 + "}",
])  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/graphql", "/graphql%0A", "/%2Fgraphql", "/GraphQL/", "/x/graphql"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_nothing(client: TestClient, method: str, path: str, query: str) -> None:
    address = f"{path}?query={quote(query, safe='&=,')}"
    assert client.request(method, address).status_code in {400, 405}


@pytest.mark.parametrize("headers", [
    page("cross-site", "no-cors", "image"), page("same-site", "no-cors", "image"),
    page("cross-site", "navigate", "iframe"), page("same-site", "cors"), page("cross-site", "cors"),
    page("unheard-of"),
])  # fmt: skip
def test_a_foreign_page_cannot_read_either(client: TestClient, headers: Mapping[str, str]) -> None:
    refused = client.get("/logs/run/out", headers=headers)

    assert refused.status_code == 403
    assert "Open the Dagster UI itself" in refused.text


def test_a_link_cannot_lead_to_the_graphql_endpoint(client: TestClient) -> None:
    assert client.get("/graphql?query={version}", headers=LINK).status_code == 403


@pytest.mark.parametrize("headers", [
    JSON, {"Content-Type": "application/json; charset=utf-8"},
    {**JSON, "Origin": OURS, **page("same-origin")}, {"Content-Type": "Application/JSON"},
])  # fmt: skip
def test_its_pages_and_programs_may_send_json(
    client: TestClient, headers: Mapping[str, str]
) -> None:
    assert client.post("/graphql", content="{}", headers=headers).text == "done"


@pytest.mark.parametrize("content_type", [
    None, "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json", "application/graphql",
    "application/json, text/plain", "application/jsonp", "",
])  # fmt: skip
@pytest.mark.parametrize("path", [
    f"/graphql?query={MUTATION}", "/report_asset_materialization/appointments",
])  # fmt: skip
def test_what_needs_no_permission_in_a_browser_is_not_taken(
    client: TestClient, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    refused = client.post(path, content="{}", headers=headers)

    assert refused.status_code == 415
    assert "Content-Type: application/json" in refused.text


@pytest.mark.parametrize(("headers", "status"), [
    ({**JSON, "Origin": "http://127.0.0.1:8400"}, 403), ({**JSON, "Origin": "null"}, 403),
    ({**JSON, **page("cross-site")}, 403), ({**JSON, **page("same-site")}, 403),
    ({**JSON, "Host": "evil.example:3000", "Origin": "http://evil.example:3000"}, 421),
])  # fmt: skip
def test_a_foreign_page_cannot_send_anything(
    client: TestClient, headers: Mapping[str, str], status: int
) -> None:
    refused = client.post("/graphql", content="{}", headers=headers)

    assert refused.status_code == status
    assert "done" not in refused.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_known(client: TestClient, method: str) -> None:
    refused = client.request(method, "/graphql", headers={"Access-Control-Request-Method": "POST"})

    assert refused.status_code == 405
    assert not [name for name in refused.headers if name.startswith("access-control-")]


def test_no_response_may_be_shown_or_read_elsewhere(client: TestClient) -> None:
    response = client.get("/")

    assert response.headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in response.headers["content-security-policy"]
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in response.headers


def test_its_own_pages_may_open_a_web_socket(client: TestClient) -> None:
    with client.websocket_connect(
        "/graphql", headers={"Host": "127.0.0.1:3000", "Origin": OURS}
    ) as socket:
        assert socket.receive_text() == "done"


@pytest.mark.parametrize("headers", [
    {}, {"Origin": "http://127.0.0.1:8400"}, {"Origin": "null"},
    {"Host": "evil.example:3000", "Origin": "http://evil.example:3000"},
])  # fmt: skip
def test_no_other_page_may(client: TestClient, headers: Mapping[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/graphql", headers={"Host": "127.0.0.1:3000", **headers}),
    ):
        pass
