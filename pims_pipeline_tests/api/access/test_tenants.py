"""Every operation of the API, with keys of every kind, for the ids of one's own and another clinic.

Which operations there are is read from the OpenAPI document. Maple Street asks, Oak Lane is the
other clinic, Pine Hill is deactivated. Nothing is left out of a look at what changed: the owner
compares all tables. That the database itself keeps clinics apart is tested in the store.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from httpx2 import Response
from sqlalchemy import text
from starlette.routing import BaseRoute, Route
from starlette.testclient import TestClient

from pims_pipeline.dagster_names import CLINIC_TAG, sync_id_of
from pims_pipeline.domain.api_keys import new_key
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables import metadata
from pims_pipeline_tests.api.support.recorded import RecordedResponse, ResponseRecorder, faults
from pims_pipeline_tests.api.support.tenants import (
    ACTIVE,
    DISABLED,
    EXPIRED,
    MAPLE,
    OAK,
    PINE,
    Tenant,
    Town,
    forged,
    lacking,
    town,
)

Operation = tuple[str, str]
"""Method and path."""
Refusal = tuple[int, str]
"""Status and words."""

LOOPBACK = "127.0.0.1"
BODIES = ("{}", '{"unknown": 1}', "{")
"""A good one, one that breaks a rule, and one that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What an operation needs, and what it does.

    Attributes:
        needs: Permissions, in the order in which they are asked for; None if it wants no key.
        succeeds: The status for a clinic's own key and ids.
        id_of: The clinic's id that goes into the path.
        unknown: What is said of any other id.
        changes: Tables that are not as before when it has succeeded.
    """

    needs: tuple[str, ...] | None
    succeeds: int = 200
    id_of: Callable[[Tenant], UUID] | None = None
    unknown: str = ""
    changes: frozenset[str] = frozenset()


def _starts(*needs: str) -> Row:
    changes = frozenset({"sync_requests", "idempotency_keys"})
    return Row(needs=needs, succeeds=202, changes=changes)


MATRIX: Mapping[Operation, Row] = {
    ("post", "/api/sync/inbound"): _starts("sync:inbound"),
    ("post", "/api/sync/cases"): _starts("sync:cases"),
    ("post", "/api/sync/reconcile"): _starts("sync:reconcile"),
    ("post", "/api/sync/reconciliation"): _starts("sync:reconcile"),
    ("post", "/api/sync/full"): _starts("sync:inbound", "sync:cases", "sync:reconcile"),
    ("get", "/api/sync"): Row(needs=("read",)),
    ("get", "/api/sync/{syncId}"): Row(
        needs=("read",), id_of=lambda tenant: tenant.syncs["done"], unknown="Sync not found"
    ),
    ("get", "/api/cases/{id}/provenance"): Row(
        needs=("read",), id_of=lambda tenant: tenant.case_id, unknown="Case not found"
    ),
    ("get", "/health"): Row(needs=None),
    ("get", "/ready"): Row(needs=None),
    # For this machine alone, which nobody here is.
    ("get", "/metrics"): Row(needs=None, succeeds=403),
}
GUARDED = [operation for operation, row in MATRIX.items() if row.needs is not None]
OPEN = [operation for operation, row in MATRIX.items() if row.needs is None]
WITH_ID = [operation for operation, row in MATRIX.items() if row.id_of is not None]
STARTING = [operation for operation, row in MATRIX.items() if row.succeeds == 202]

REFUSED: Mapping[str, tuple[Callable[[Tenant], str | None], Refusal]] = {
    "missing": (lambda _: None, (401, "Missing X-API-Key header")),
    "empty": (lambda _: "", (401, "Missing X-API-Key header")),
    "malformed": (lambda _: "secret", (401, "Invalid API key")),
    "mistyped": (lambda tenant: tenant.keys[ACTIVE][:-1] + "-", (401, "Invalid API key")),
    "unknown": (lambda _: new_key(), (401, "Invalid API key")),
    "of another secret": (lambda tenant: forged(tenant.keys[ACTIVE]), (401, "Invalid API key")),
    "a bare prefix": (lambda tenant: tenant.keys[ACTIVE][:8], (401, "Invalid API key")),
    "disabled": (lambda tenant: tenant.keys[DISABLED], (403, "API key is disabled")),
    "expired": (lambda tenant: tenant.keys[EXPIRED], (403, "API key has expired")),
}
"""What every operation that wants a key says of one in that state."""


@pytest.fixture(scope="module")
def recorded() -> list[RecordedResponse]:
    """All that was answered."""
    return []


@pytest.fixture(scope="module")
def quiet(server_url: str, recorded: list[RecordedResponse]) -> Iterator[Town]:
    """Three clinics; runs are started, and nothing works on them."""
    with town(server_url) as quiet:
        quiet.app.add_middleware(ResponseRecorder, recorded=recorded)
        yield quiet


_addresses = (f"198.51.100.{number}" for number in itertools.cycle(range(1, 255)))


@dataclass
class Asker:
    """Asks for one clinic, from an address of its own, and looks at every answer."""

    quiet: Town
    recorded: list[RecordedResponse]
    tenant: Tenant
    address: str = field(default_factory=lambda: next(_addresses))

    def __post_init__(self) -> None:
        self._client = TestClient(self.quiet.app, client=(self.address, 1))
        self._foreign = {
            trace
            for other in self.quiet.tenants.values()
            if other is not self.tenant
            for trace in other.traces
        }

    def ask(
        self,
        operation: Operation,
        key: str | None,
        *,
        id_: UUID | None = None,
        body: str | None = None,
        idempotency_key: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Response:
        method, path = operation
        name = path.partition("{")[2].partition("}")[0]
        headers = {"X-API-Key": key, "Idempotency-Key": idempotency_key}
        response = self._client.request(
            method,
            path.replace(f"{{{name}}}", str(id_)),
            headers={name: value for name, value in headers.items() if value is not None},
            content=body,
            params=params,
        )
        self._look_at(operation, self.recorded[-1])
        return response

    def _look_at(self, operation: Operation, answer: RecordedResponse) -> None:
        method, path = operation
        documented = self.quiet.app.openapi()["paths"][path][method]["responses"]
        assert str(answer.status) in documented, str(answer)
        assert list(faults(answer, self.quiet.secrets)) == [], str(answer)
        assert not any(trace in answer.text for trace in self._foreign), str(answer)


def refusal(response: Response) -> Refusal:
    return response.status_code, response.json()["error"]


def ids_for(operation: Operation, quiet: Town) -> list[UUID | None]:
    """Its own clinic's, each other clinic's, and nobody's; or none, if it takes none."""
    id_of = MATRIX[operation].id_of
    if id_of is None:
        return [None]
    return [*(id_of(tenant) for tenant in quiet.tenants.values()), uuid4()]


def bodies_for(operation: Operation) -> tuple[str | None, ...]:
    return BODIES if operation in STARTING else (None,)


_DIGESTS = " UNION ALL ".join(
    f"SELECT '{name}' AS name, md5(string_agg(row, ' ' ORDER BY row)) AS digest "  # noqa: S608 - our own names
    f"FROM (SELECT to_jsonb(t)::text AS row FROM {name} AS t) AS {name}"
    for name in metadata.tables
)


class Watch:
    """Tells what has changed since it began: in any table, and at Dagster's."""

    def __init__(self, quiet: Town) -> None:
        self._quiet = quiet
        self._runs = set(quiet.dagster.runs)
        self._before = self._digests()

    def _digests(self) -> set[tuple[str, str | None]]:
        with transaction(self._quiet.owner) as connection:
            return {(row.name, row.digest) for row in connection.execute(text(_DIGESTS))}

    @property
    def changed(self) -> set[str]:
        """The tables that are not as before."""
        return {name for name, _ in self._digests() ^ self._before}

    @property
    def started(self) -> list[Mapping[str, str]]:
        """The tags of runs that were not there before."""
        runs = self._quiet.dagster.runs
        return [run.tags for run_id, run in runs.items() if run_id not in self._runs]


def name_of(operation: Operation) -> str:
    return " ".join(operation)


def operations(chosen: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", chosen, ids=name_of)


@pytest.fixture
def asker(quiet: Town, recorded: list[RecordedResponse]) -> Asker:
    """Maple Street."""
    return Asker(quiet, recorded, quiet.tenants[MAPLE])


@pytest.fixture
def watch(quiet: Town) -> Watch:
    """Began before the test."""
    return Watch(quiet)


def test_every_operation_of_the_document_has_a_row(quiet: Town) -> None:
    paths = quiet.app.openapi()["paths"]
    documented = {(method, path) for path, methods in paths.items() for method in methods}
    assert documented == MATRIX.keys()


def test_what_is_not_in_the_document_is_its_pages_alone(quiet: Town) -> None:
    hidden = set(_routes(quiet.app.routes)) - MATRIX.keys()
    pages = {("get", "/docs"), ("get", "/openapi.json"), ("head", "/openapi.json")}
    # Where syncs are started, there is nothing to get; else the name would pass for an id.
    assert hidden == pages | {("get", path) for _, path in STARTING}
    client = TestClient(quiet.app)
    assert {client.get(path).status_code for _, path in STARTING} == {405}


def _routes(routes: Sequence[BaseRoute]) -> Iterator[Operation]:
    """Each method and path that something answers, routers within routers included."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method.lower(), route.path) for method in route.methods or ())
        else:
            yield from _routes(route.original_router.routes)  # type: ignore[attr-defined]  # FastAPI's own kind of route, which has no public name


def test_operations_want_a_key_just_where_the_document_says_so(quiet: Town) -> None:
    paths = quiet.app.openapi()["paths"]
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
def test_a_key_that_is_not_good_is_refused_whatever_is_asked(
    operation: Operation, state: str, quiet: Town, asker: Asker, watch: Watch
) -> None:
    key_of, expected = REFUSED[state]
    key = key_of(asker.tenant)
    refusals = {
        refusal(asker.ask(operation, key, id_=id_, body=body, idempotency_key=state))
        for id_ in ids_for(operation, quiet)
        for body in bodies_for(operation)
    }
    assert refusals == {expected}
    assert (watch.changed, watch.started) == (set(), [])


@pytest.mark.parametrize(
    ("operation", "permission"),
    [(each, permission) for each in GUARDED for permission in MATRIX[each].needs or ()],
    ids=lambda part: part if isinstance(part, str) else name_of(part),
)
def test_each_permission_that_is_needed_is_asked_for(
    operation: Operation, permission: str, quiet: Town, asker: Asker, watch: Watch
) -> None:
    key = asker.tenant.keys[lacking(permission)]
    refusals = {
        refusal(asker.ask(operation, key, id_=id_, body=body))
        for id_ in ids_for(operation, quiet)
        for body in bodies_for(operation)
    }
    assert refusals == {(403, f"Permission denied: {permission}")}
    assert (watch.changed, watch.started) == (set(), [])


@operations(GUARDED)
def test_a_deactivated_clinic_looks_at_its_own_and_starts_nothing(
    operation: Operation, quiet: Town, recorded: list[RecordedResponse], watch: Watch
) -> None:
    row, pine = MATRIX[operation], quiet.tenants[PINE]
    asker = Asker(quiet, recorded, pine)
    own = row.id_of(pine) if row.id_of else None
    refusals = [
        asker.ask(operation, pine.keys[ACTIVE], id_=own, body=b) for b in bodies_for(operation)
    ]
    if operation in STARTING:
        assert {refusal(each) for each in refusals} == {(409, "Clinic is deactivated")}
        assert watch.changed == set()
    else:
        assert {each.status_code for each in refusals} == {200}
        assert watch.changed <= {"clinic_api_keys"}
    assert watch.started == []


@operations(GUARDED)
def test_a_clinic_s_own_key_and_ids_do_what_is_documented_and_no_more(
    operation: Operation, asker: Asker, watch: Watch
) -> None:
    row, maple = MATRIX[operation], asker.tenant
    own = row.id_of(maple) if row.id_of else None
    answer = asker.ask(
        operation,
        maple.keys[ACTIVE],
        id_=own,
        body="{}" if operation in STARTING else None,
        idempotency_key=f"own {operation}",
    )
    assert answer.status_code == row.succeeds
    assert watch.changed - {"clinic_api_keys"} == row.changes
    started = [(tags[CLINIC_TAG], str(sync_id_of(tags))) for tags in watch.started]
    assert started == ([(MAPLE, answer.json()["syncId"])] if operation in STARTING else [])


@operations(WITH_ID)
def test_an_id_of_another_clinic_is_as_unknown_as_nobody_s(
    operation: Operation, quiet: Town, recorded: list[RecordedResponse], watch: Watch
) -> None:
    unknown = MATRIX[operation].unknown
    for slug in quiet.tenants:
        asker = Asker(quiet, recorded, quiet.tenants[slug])
        answers = [
            asker.ask(operation, asker.tenant.keys[ACTIVE], id_=id_)
            for id_ in (*others_ids(quiet, asker.tenant), uuid4())
        ]
        assert {refusal(answer) for answer in answers} == {(404, unknown)}
    assert watch.changed <= {"clinic_api_keys"}
    assert watch.started == []


def others_ids(quiet: Town, tenant: Tenant) -> list[UUID]:
    """Of every row that another clinic has, whatever the row is."""
    others = [other for other in quiet.tenants.values() if other is not tenant]
    return [
        *(other.case_id for other in others),
        *(other.clinic.id for other in others),
        *(sync_id for other in others for sync_id in other.syncs.values()),
    ]


@operations(WITH_ID)
def test_an_id_of_another_kind_of_row_is_unknown(operation: Operation, asker: Asker) -> None:
    maple, row = asker.tenant, MATRIX[operation]
    own = row.id_of(maple) if row.id_of else None
    kinds = {maple.case_id, maple.syncs["done"], maple.clinic.id} - {own}
    answers = [asker.ask(operation, maple.keys[ACTIVE], id_=id_) for id_ in kinds]
    assert {refusal(answer) for answer in answers} == {(404, row.unknown)}


def test_a_list_holds_a_clinic_s_own_syncs_page_by_page(
    quiet: Town, recorded: list[RecordedResponse]
) -> None:
    """Pine Hill's, which starts none while the tests run."""
    pine = quiet.tenants[PINE]
    asker, listed, cursor = Asker(quiet, recorded, pine), [], "first"
    while cursor:
        params = {"limit": "3"} | ({} if cursor == "first" else {"cursor": cursor})
        page = asker.ask(("get", "/api/sync"), pine.keys[ACTIVE], params=params).json()
        listed += [UUID(sync["syncId"]) for sync in page["syncs"]]
        cursor = page["nextCursor"]
    assert sorted(listed) == sorted(pine.syncs.values())


def test_another_clinic_s_cursor_names_a_place_in_one_s_own_list(
    asker: Asker, recorded: list[RecordedResponse]
) -> None:
    """It tells of a moment and an id, and opens nothing."""
    listing, key = ("get", "/api/sync"), asker.tenant.keys[ACTIVE]
    for _ in range(2):
        asker.ask(("post", "/api/sync/inbound"), key)
    newest = asker.ask(listing, key, params={"limit": "1"}).json()["nextCursor"]
    pine = asker.quiet.tenants[PINE]
    page = Asker(asker.quiet, recorded, pine).ask(
        listing, pine.keys[ACTIVE], params={"cursor": newest}
    )
    assert {UUID(sync["syncId"]) for sync in page.json()["syncs"]} == set(pine.syncs.values())


@operations(STARTING)
def test_an_idempotency_key_stands_for_nothing_of_another_clinic_s(
    operation: Operation, quiet: Town, recorded: list[RecordedResponse]
) -> None:
    maple, oak = quiet.tenants[MAPLE], quiet.tenants[OAK]
    name = f"both of {operation}"
    answers = [
        Asker(quiet, recorded, tenant).ask(
            operation, tenant.keys[ACTIVE], body="{}", idempotency_key=name
        )
        for tenant in (maple, oak, maple)
    ]
    assert [answer.status_code for answer in answers] == [202] * 3
    first, others, again = (answer.json()["syncId"] for answer in answers)
    assert first == again != others
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
    assert replayed == [None, None, "true"]


@pytest.mark.parametrize("state", [*REFUSED, ACTIVE])
@operations(OPEN)
def test_what_wants_no_key_looks_at_none(
    operation: Operation, state: str, asker: Asker, watch: Watch
) -> None:
    key_of = REFUSED[state][0] if state in REFUSED else lambda tenant: tenant.keys[ACTIVE]
    answer = asker.ask(operation, key_of(asker.tenant))
    assert answer.status_code == MATRIX[operation].succeeds
    assert (watch.changed, watch.started) == (set(), [])


def test_metrics_tell_clinics_by_slug_and_nothing_else_of_them(quiet: Town) -> None:
    refusals = TestClient(quiet.app, client=(LOOPBACK, 1)).get("/metrics").text
    traces = {trace for each in quiet.tenants.values() for trace in each.traces}
    assert {trace for trace in traces if trace in refusals} == {MAPLE, OAK}
