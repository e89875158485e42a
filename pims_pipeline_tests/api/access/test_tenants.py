"""Every operation of the API, with keys of every kind and ids of the own and another clinic.

The operations are read from the OpenAPI document. Maple Street is the client, Oak Lane the other
clinic, Pine Hill is deactivated. Changes are detected in all tables. Tests of row-level security
belong in the store.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

import pytest
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from pims_pipeline.dagster_names import CLINIC_TAG, sync_id_of
from pims_pipeline_tests.api.support.clinic_client import ClinicClient, Watch
from pims_pipeline_tests.api.support.operations import (
    GUARDED,
    LOOPBACK,
    MATRIX,
    OPEN,
    REFUSED,
    STARTING,
    WITH_ID,
    Operation,
    bodies_for,
    ids_for,
    name_of,
    operations,
    refusal,
)
from pims_pipeline_tests.api.support.recorded import RecordedResponse
from pims_pipeline_tests.api.support.tenants import (
    ACTIVE,
    MAPLE,
    OAK,
    PINE,
    ServedClinics,
    Tenant,
    lacking,
)


def test_every_operation_of_the_document_has_a_row(served: ServedClinics) -> None:
    paths = served.app.openapi()["paths"]
    documented = {(method, path) for path, methods in paths.items() for method in methods}
    assert documented == MATRIX.keys()


def test_only_the_pages_of_the_document_are_not_in_it(served: ServedClinics) -> None:
    hidden = set(_routes(served.app.routes)) - MATRIX.keys()
    files = ("swagger-ui.css", "swagger-ui-bundle.js", "start.js")
    pages = {("get", "/docs"), ("get", "/openapi.json"), ("head", "/openapi.json")}
    pages |= {("get", f"/docs/{file}") for file in files}
    # GET on the paths that start syncs is refused; otherwise the name would be taken for an id.
    assert hidden == pages | {("get", path) for _, path in STARTING}
    client = TestClient(served.app)
    assert {client.get(path).status_code for _, path in STARTING} == {405}


def _routes(routes: Sequence[BaseRoute]) -> Iterator[Operation]:
    """Each method and path with a route, including nested routers."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method.lower(), route.path) for method in route.methods or ())
        else:
            yield from _routes(route.original_router.routes)  # type: ignore[attr-defined]  # FastAPI's own kind of route, which has no public name


def test_operations_need_a_key_exactly_where_the_document_says_so(served: ServedClinics) -> None:
    paths = served.app.openapi()["paths"]
    declared = {
        (method, path): operation.get("security")
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    wanted: dict[Operation, object] = {
        op: None if row.needs is None else [{"apiKey": []}] for op, row in MATRIX.items()
    }
    assert declared == wanted


@pytest.mark.parametrize("state", REFUSED)
@operations(GUARDED)
def test_an_invalid_key_is_refused_whatever_the_request(
    operation: Operation, state: str, served: ServedClinics, client: ClinicClient, watch: Watch
) -> None:
    key_of, expected = REFUSED[state]
    key = key_of(client.tenant)
    refusals = {
        refusal(client.request(operation, key, id_=id_, body=body, idempotency_key=state))
        for id_ in ids_for(operation, served)
        for body in bodies_for(operation)
    }
    assert refusals == {expected}
    assert (watch.changed, watch.started) == (set(), [])


@pytest.mark.parametrize(
    ("operation", "permission"),
    [(each, permission) for each in GUARDED for permission in MATRIX[each].needs or ()],
    ids=lambda part: part if isinstance(part, str) else name_of(part),
)
def test_each_needed_permission_is_checked(
    operation: Operation, permission: str, served: ServedClinics, client: ClinicClient, watch: Watch
) -> None:
    key = client.tenant.keys[lacking(permission)]
    refusals = {
        refusal(client.request(operation, key, id_=id_, body=body))
        for id_ in ids_for(operation, served)
        for body in bodies_for(operation)
    }
    assert refusals == {(403, f"Permission denied: {permission}")}
    assert (watch.changed, watch.started) == (set(), [])


@operations(GUARDED)
def test_a_deactivated_clinic_reads_its_rows_and_starts_no_sync(
    operation: Operation, served: ServedClinics, recorded: list[RecordedResponse], watch: Watch
) -> None:
    row, pine = MATRIX[operation], served.tenants[PINE]
    client = ClinicClient(served, recorded, pine)
    own = row.id_of(pine) if row.id_of else None
    responses = [
        client.request(operation, pine.keys[ACTIVE], id_=own, body=b) for b in bodies_for(operation)
    ]
    if operation in STARTING:
        assert {refusal(each) for each in responses} == {(409, "Clinic is deactivated")}
        assert watch.changed == set()
    else:
        assert {each.status_code for each in responses} == {200}
        assert watch.changed <= {"clinic_api_keys"}
    assert watch.started == []


@operations(GUARDED)
def test_a_clinic_s_own_key_and_ids_do_what_is_documented_and_no_more(
    operation: Operation, client: ClinicClient, watch: Watch
) -> None:
    row, maple = MATRIX[operation], client.tenant
    own = row.id_of(maple) if row.id_of else None
    response = client.request(
        operation,
        maple.keys[ACTIVE],
        id_=own,
        body="{}" if operation in STARTING else None,
        idempotency_key=f"own {operation}",
    )
    assert response.status_code == row.succeeds
    assert watch.changed - {"clinic_api_keys"} == row.changes
    started = [(tags[CLINIC_TAG], str(sync_id_of(tags))) for tags in watch.started]
    assert started == ([(MAPLE, response.json()["syncId"])] if operation in STARTING else [])


@operations(WITH_ID)
def test_an_id_of_another_clinic_is_as_unknown_as_a_made_up_one(
    operation: Operation, served: ServedClinics, recorded: list[RecordedResponse], watch: Watch
) -> None:
    unknown = MATRIX[operation].unknown
    for slug in served.tenants:
        client = ClinicClient(served, recorded, served.tenants[slug])
        responses = [
            client.request(operation, client.tenant.keys[ACTIVE], id_=id_)
            for id_ in (*others_ids(served, client.tenant), uuid4())
        ]
        assert {refusal(response) for response in responses} == {(404, unknown)}
    assert watch.changed <= {"clinic_api_keys"}
    assert watch.started == []


def others_ids(served: ServedClinics, tenant: Tenant) -> list[UUID]:
    """The ids of other clinics' rows of every kind."""
    others = [other for other in served.tenants.values() if other is not tenant]
    return [
        *(other.case_id for other in others),
        *(other.clinic.id for other in others),
        *(sync_id for other in others for sync_id in other.syncs.values()),
    ]


@operations(WITH_ID)
def test_an_id_of_another_kind_of_row_is_unknown(
    operation: Operation, client: ClinicClient
) -> None:
    maple, row = client.tenant, MATRIX[operation]
    own = row.id_of(maple) if row.id_of else None
    kinds = {maple.case_id, maple.syncs["done"], maple.clinic.id} - {own}
    responses = [client.request(operation, maple.keys[ACTIVE], id_=id_) for id_ in kinds]
    assert {refusal(response) for response in responses} == {(404, row.unknown)}


def test_a_list_holds_a_clinic_s_own_syncs_page_by_page(
    served: ServedClinics, recorded: list[RecordedResponse]
) -> None:
    """Of Pine Hill, which starts none during the tests."""
    pine = served.tenants[PINE]
    client, listed, cursor = ClinicClient(served, recorded, pine), [], "first"
    while cursor:
        params = {"limit": "3"} | ({} if cursor == "first" else {"cursor": cursor})
        page = client.request(("get", "/api/sync"), pine.keys[ACTIVE], params=params).json()
        listed += [UUID(sync["syncId"]) for sync in page["syncs"]]
        cursor = page["nextCursor"]
    assert sorted(listed) == sorted(pine.syncs.values())


def test_another_clinic_s_cursor_is_a_position_in_the_own_list(
    client: ClinicClient, recorded: list[RecordedResponse]
) -> None:
    """A cursor is a time and an id, and gives no access."""
    listing, key = ("get", "/api/sync"), client.tenant.keys[ACTIVE]
    for _ in range(2):
        client.request(("post", "/api/sync/inbound"), key)
    newest = client.request(listing, key, params={"limit": "1"}).json()["nextCursor"]
    pine = client.served.tenants[PINE]
    page = ClinicClient(client.served, recorded, pine).request(
        listing, pine.keys[ACTIVE], params={"cursor": newest}
    )
    assert {UUID(sync["syncId"]) for sync in page.json()["syncs"]} == set(pine.syncs.values())


@operations(STARTING)
def test_an_idempotency_key_is_not_shared_between_clinics(
    operation: Operation, served: ServedClinics, recorded: list[RecordedResponse]
) -> None:
    maple, oak = served.tenants[MAPLE], served.tenants[OAK]
    name = f"both of {operation}"
    responses = [
        ClinicClient(served, recorded, tenant).request(
            operation, tenant.keys[ACTIVE], body="{}", idempotency_key=name
        )
        for tenant in (maple, oak, maple)
    ]
    assert [response.status_code for response in responses] == [202] * 3
    first, others, again = (response.json()["syncId"] for response in responses)
    assert first == again != others
    replayed = [response.headers.get("Idempotent-Replayed") for response in responses]
    assert replayed == [None, None, "true"]


@pytest.mark.parametrize("state", [*REFUSED, ACTIVE])
@operations(OPEN)
def test_what_needs_no_key_ignores_it(
    operation: Operation, state: str, client: ClinicClient, watch: Watch
) -> None:
    key_of = REFUSED[state][0] if state in REFUSED else lambda tenant: tenant.keys[ACTIVE]
    response = client.request(operation, key_of(client.tenant))
    assert response.status_code == MATRIX[operation].succeeds
    assert (watch.changed, watch.started) == (set(), [])


def test_metrics_name_clinics_only_by_their_slugs(served: ServedClinics) -> None:
    metrics = TestClient(served.app, client=(LOOPBACK, 1)).get("/metrics").text
    traces = {trace for each in served.tenants.values() for trace in each.traces}
    assert {trace for trace in traces if trace in metrics} == {MAPLE, OAK}
