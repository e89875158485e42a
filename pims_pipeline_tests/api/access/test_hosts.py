"""The host names that the API accepts, and the origins whose pages may call it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.cli.commands.serve import api_addresses
from pims_pipeline.local_trust.origins import own_addresses
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.api.support.stubbed_app import LOOPBACK, StubDagster, context_of

OURS = "127.0.0.1:8000"
APP = "https://app.example"


@pytest.fixture
def api() -> TestClient:
    """The API on loopback, named ``api.example`` by a proxy; a page of another server may call."""
    context = replace(
        context_of(create_engine("postgresql://127.0.0.1:9/pims"), StubDagster()),
        own_addresses=own_addresses("127.0.0.1", 8000, ["api.example"], any_address=True),
        cors_origins=(APP,),
    )
    return TestClient(create_app(context), base_url=f"http://{OURS}", client=LOOPBACK)


@pytest.mark.parametrize("headers", [
    {"Host": OURS}, {"Host": "localhost:8000"}, {"Host": "api.example"}, {"Host": "10.2.3.4"},
    {"Host": "api.example", "Origin": "https://api.example"}, {"Host": OURS, "Origin": APP},
    {"Host": OURS, "Origin": f"http://{OURS}"},
])  # fmt: skip
def test_its_own_names_and_allowed_origins_are_accepted(
    api: TestClient, headers: Mapping[str, str]
) -> None:
    assert api.get("/openapi.json", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/api/sync", "/nowhere"])
@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "rebound.example:8000"}, 421), ({"Host": "localhost:9"}, 421),
    ({"Host": OURS, "Origin": "https://foreign.example"}, 403),
    ({"Host": OURS, "Origin": "null"}, 403),
    ({"Host": "rebound.example:8000", "Origin": APP}, 421),
])  # fmt: skip
def test_other_names_and_other_origins_are_refused(
    api: TestClient, path: str, headers: Mapping[str, str], status: int
) -> None:
    refused = api.get(path, headers=headers)

    assert refused.status_code == status
    assert refused.json().keys() == {"success", "error", "timestamp"}
    assert "PIMS_ALLOWED_HOSTS" in refused.json()["error"]
    assert "access-control-allow-origin" not in refused.headers
    assert refused.headers["x-request-id"]


def test_a_preflight_of_an_allowed_origin_succeeds(api: TestClient) -> None:
    headers = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    allowed = api.options("/api/sync/full", headers=headers)

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, APP)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_may_use_any_name(api: TestClient, path: str) -> None:
    assert api.get(path, headers={"Host": "pod-7.cluster.local"}).status_code in {200, 503}


@pytest.mark.parametrize(("host", "names", "is_checked"), [
    ("127.0.0.1", (), True), ("::1", (), True), ("127.0.0.1", ("api.example",), True),
    ("0.0.0.0", (), False), ("10.0.0.7", (), False), ("0.0.0.0", ("api.example",), True),  # noqa: S104 - arguments of the test
])  # fmt: skip
def test_names_are_checked_where_they_are_known(
    host: str, names: tuple[str, ...], *, is_checked: bool
) -> None:
    assert (api_addresses(Settings(allowed_hosts=names), host, 8000) is not None) is is_checked
