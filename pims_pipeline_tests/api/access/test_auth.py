"""The checks of the API key: their order, and that a refused request has no effect."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, event, func, select, update
from sqlalchemy.pool import QueuePool
from starlette.testclient import TestClient

from pims_pipeline.api.access.auth import GuardedRoute, PresentedKey, ReadKey, require
from pims_pipeline.api.access.caller import Caller
from pims_pipeline.api.dependencies import Context
from pims_pipeline.api.errors import ApiError
from pims_pipeline.api.services import services_of
from pims_pipeline.domain.api_keys import _checksum, hash_of, new_key, prefix_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import clinic_transaction
from pims_pipeline.store.tables.access import clinic_api_keys
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.keys import MakeKey

READ = "/test/read"
SYNC = "/test/sync"
ROWS = "/test/rows"
FORGETFUL = "/test/forgetful"


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


@pytest.fixture(autouse=True)
def routes(app: FastAPI) -> None:
    """Routes to be guarded."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get(READ)
    def read(
        caller: Annotated[Caller, Depends(require("read"))],
        limit: int = 20,  # noqa: ARG001 - there to be validated
    ) -> dict[str, str]:
        return {"clinic": str(caller.clinic_id)}

    @router.post(SYNC)
    def sync(
        body: Nothing,  # noqa: ARG001 - there to be validated
        caller: Annotated[Caller, Depends(require("sync:inbound", "sync:cases"))],
    ) -> dict[str, str]:
        return {"clinic": str(caller.clinic_id)}

    @router.get(ROWS)
    def rows(key: ReadKey, context: Context, *, fail: bool = False) -> list[list[str]]:
        with key.clinic_transaction() as (caller, connection):
            seen = [visible_clinics(connection)]
            if fail:
                raise ApiError(404, "Not here")
        for clinic_id in (caller.clinic_id, UUID(int=0)):
            with clinic_transaction(context.engine, clinic_id) as connection:
                seen.append(visible_clinics(connection))
        with transaction(context.engine) as connection:
            return [*seen, visible_clinics(connection)]

    @router.get(FORGETFUL)
    def forget(key: ReadKey) -> dict[str, str]:
        assert isinstance(key, PresentedKey)
        return {"shown": "without a check"}

    app.include_router(router)


def visible_clinics(connection: Connection) -> list[str]:
    """The ids of the clinics whose rows a transaction sees."""
    return [str(row.id) for row in connection.execute(select(clinics.c.id))]


def read(api: TestClient, *keys: str | bytes) -> Response:
    """Send a GET with these keys."""
    headers = [(b"X-API-Key", key.encode() if isinstance(key, str) else key) for key in keys]
    return api.get(READ, headers=headers)


def sync(api: TestClient, key: str) -> Response:
    return api.post(SYNC, headers={"X-API-Key": key}, json={})


def refusal(response: Response) -> tuple[int, str]:
    """The status and text of an error."""
    body = response.json()
    assert body.keys() == {"success", "error", "timestamp"}
    assert body["success"] is False
    return response.status_code, body["error"]


def with_another_secret(key: str) -> str:
    """A well-formed key of the same prefix."""
    checked = f"{prefix_of(key)}{new_key()[8:-6]}"
    return checked + _checksum(checked)


def set_key(engine: Engine, key: str, **values: object) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(clinic_api_keys)
            .where(clinic_api_keys.c.key_hash == hash_of(key))
            .values(**values)
        )


def deactivate(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        connection.execute(update(clinics).where(clinics.c.id == clinic.id).values(is_active=False))


def noted_uses(engine: Engine) -> int:
    """How many keys were ever used."""
    counted = select(func.count(clinic_api_keys.c.last_used_at))
    with transaction(engine) as connection:
        return int(connection.scalar(counted) or 0)


def test_a_key_gives_access_to_its_clinic(
    api: TestClient, make_key: MakeKey, clinic: Clinic
) -> None:
    response = read(api, make_key("read"))

    assert (response.status_code, response.json()) == (200, {"clinic": str(clinic.id)})


def test_without_a_key_the_header_is_missing(api: TestClient) -> None:
    responses = [read(api), read(api, ""), read(api, "", "")]

    assert [refusal(each) for each in responses] == [(401, "Missing X-API-Key header")] * 3


def test_what_is_not_a_key_of_this_api_is_invalid(api: TestClient, make_key: MakeKey) -> None:
    known = make_key()
    wrong: dict[str, tuple[str | bytes, ...]] = {
        "short": ("x",),
        "oversized": ("k" * 20_000,),
        "in UTF-8": ("ключ".encode(),),
        "in no encoding": (b"\xff\xfe",),
        "wrong checksum": (known[:-1] + "!",),
        "unknown": (new_key(),),
        "another secret": (with_another_secret(known),),
        "two at once": (known, known),
        "one and an empty one": (known, ""),
    }

    responses = {name: refusal(read(api, *keys)) for name, keys in wrong.items()}

    assert responses == dict.fromkeys(wrong, (401, "Invalid API key"))


def test_a_caller_sees_the_rows_of_one_clinic_and_holds_no_connection(
    api: TestClient, api_engine: Engine, engine: Engine, make_key: MakeKey, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        other = add_clinic(
            connection,
            slug="other",
            name="Other",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    key, others = {"X-API-Key": make_key()}, {"X-API-Key": make_key(clinic=other)}

    mine = [[str(clinic.id)], [str(clinic.id)], [], []]
    theirs = [[str(other.id)], [str(other.id)], [], []]
    assert [api.get(ROWS, headers=each).json() for each in (key, others, key)] == [
        mine,
        theirs,
        mine,
    ]
    assert refusal(api.get(ROWS, headers=key, params={"fail": "true"})) == (404, "Not here")
    assert api.get(ROWS, headers=key).json() == mine
    assert isinstance(api_engine.pool, QueuePool)
    assert api_engine.pool.checkedout() == 0


def test_checks_run_in_their_documented_order(
    api: TestClient, engine: Engine, make_key: MakeKey, clinic: Clinic, clock: Clock
) -> None:
    """Everything is wrong at first, and is fixed from the first check to the last."""
    key = make_key("read", expires_at=clock.now - timedelta(seconds=1))
    set_key(engine, key, is_active=False)
    deactivate(engine, clinic)

    refusals = [refusal(sync(api, with_another_secret(key))), refusal(sync(api, key))]
    set_key(engine, key, is_active=True)
    refusals.append(refusal(sync(api, key)))
    set_key(engine, key, expires_at=clock.now + timedelta(seconds=1))
    refusals.append(refusal(sync(api, key)))
    set_key(engine, key, permissions=["sync:inbound", "read"])
    refusals.append(refusal(sync(api, key)))
    set_key(engine, key, permissions=["sync:inbound", "sync:cases"])
    refusals.append(refusal(sync(api, key)))

    assert refusals == [
        (401, "Invalid API key"),
        (403, "API key is disabled"),
        (403, "API key has expired"),
        (403, "Permission denied: sync:inbound"),
        (403, "Permission denied: sync:cases"),
        (409, "Clinic is deactivated"),
    ]
    assert noted_uses(engine) == 0


def test_a_key_is_refused_as_soon_as_it_expires(
    api: TestClient, make_key: MakeKey, clock: Clock
) -> None:
    key = make_key(expires_at=clock.now + timedelta(minutes=5))

    before = read(api, key).status_code
    clock.advance(minutes=5)

    assert before == 200
    assert refusal(read(api, key)) == (403, "API key has expired")


def test_a_key_with_all_needed_permissions_is_accepted(api: TestClient, make_key: MakeKey) -> None:
    keys = [make_key(), make_key("*"), make_key("sync:inbound", "sync:cases")]

    assert [sync(api, key).status_code for key in keys] == [200, 200, 200]


def test_a_deactivated_clinic_is_read_and_not_synced(
    api: TestClient, engine: Engine, make_key: MakeKey, clinic: Clinic
) -> None:
    key = make_key()
    deactivate(engine, clinic)

    assert read(api, key).status_code == 200
    assert api.head(READ, headers={"X-API-Key": key}).status_code == 200
    assert refusal(sync(api, key)) == (409, "Clinic is deactivated")


def test_without_a_valid_key_no_other_problem_is_reported(
    api: TestClient, make_key: MakeKey
) -> None:
    key = {"X-API-Key": make_key()}
    missing = (401, "Missing X-API-Key header")

    assert refusal(api.post(SYNC, content="{")) == missing
    assert refusal(api.get(READ, params={"limit": "x"})) == missing
    assert refusal(api.post(SYNC, content="{", headers=key))[0] == 400
    assert refusal(api.get(READ, params={"limit": "x"}, headers=key))[0] == 400


def test_with_a_well_formed_but_unknown_key_no_other_problem_is_reported(api: TestClient) -> None:
    key = {"X-API-Key": new_key()}
    invalid = (401, "Invalid API key")

    assert refusal(api.post(SYNC, content="{", headers=key)) == invalid
    assert refusal(api.get(READ, params={"limit": "x"}, headers=key)) == invalid
    assert refusal(api.get(ROWS, params={"fail": "x"}, headers=key)) == invalid
    assert refusal(api.get("/api/sync", params={"limit": "x"}, headers=key)) == invalid
    assert refusal(api.get("/api/sync", params={"cursor": "x"}, headers=key)) == invalid
    assert refusal(api.get("/api/sync/x", headers=key)) == invalid
    assert refusal(api.get("/api/cases/x/provenance", headers=key)) == invalid


def test_an_invalid_request_counts_as_one_call(
    api: TestClient, app: FastAPI, make_key: MakeKey
) -> None:
    key = make_key()
    limits = services_of(app).limits
    calls = limits._calls.windows
    for path, params in ((ROWS, {"fail": "x"}), (READ, {"limit": "x"}), (ROWS, {})):
        api.get(path, params=params, headers={"X-API-Key": key})

    [times] = calls._times.values()
    assert len(times) == 3


def test_a_route_that_does_not_check_its_key_returns_nothing(
    api: TestClient, make_key: MakeKey
) -> None:
    responses = [api.get(FORGETFUL, headers={"X-API-Key": key}) for key in (new_key(), make_key())]

    assert [refusal(each) for each in responses] == [(500, "Internal server error")] * 2


def test_a_key_is_checked_in_the_transaction_that_reads(
    api: TestClient, api_engine: Engine, make_key: MakeKey
) -> None:
    key = {"X-API-Key": make_key()}
    assert api.get("/api/sync", headers=key).status_code == 200
    begun: list[Connection] = []
    event.listen(api_engine, "begin", begun.append)

    for path in ("/api/sync", f"/api/sync/{UUID(int=0)}", f"/api/cases/{UUID(int=0)}/provenance"):
        begun.clear()
        api.get(path, headers=key)
        assert len(begun) == 1, path


def last_use(engine: Engine) -> datetime:
    with transaction(engine) as connection:
        used: datetime = connection.execute(select(clinic_api_keys.c.last_used_at)).scalar_one()
    return used


def test_the_last_use_is_noted_at_most_once_a_minute(
    api: TestClient, engine: Engine, make_key: MakeKey, clock: Clock
) -> None:
    key = make_key()
    read(api, key)
    first = last_use(engine)
    read(api, key)
    second = last_use(engine)
    # The application's clock may be ahead of the database's, which decides.
    clock.advance(minutes=2)
    read(api, key)
    ahead = last_use(engine)
    set_key(engine, key, last_used_at=first - timedelta(seconds=61))
    read(api, key)

    assert first == second == ahead
    assert last_use(engine) >= first


def test_guessing_secrets_is_slowed_down_per_address_and_prefix(
    api: TestClient, app: FastAPI, make_key: MakeKey, clock: Clock
) -> None:
    key, other = make_key(), make_key()
    wrong = with_another_secret(key)
    statuses = [read(api, wrong).status_code for _ in range(10)]

    refused = read(api, key)
    elsewhere = TestClient(app, client=("192.0.2.7", 1))

    assert statuses == [401] * 10
    assert refusal(refused) == (429, "Too many failed attempts")
    assert refused.headers["Retry-After"] == "60"
    assert read(api, other).status_code == 200
    assert read(elsewhere, key).status_code == 200
    clock.advance(seconds=60)
    assert read(api, key).status_code == 200


def test_guessing_at_random_is_slowed_down_per_address(
    app: FastAPI, make_key: MakeKey, clock: Clock
) -> None:
    guesser = TestClient(app, client=("2001:db8::1", 1))
    neighbour = TestClient(app, client=("2001:db8::2", 1))
    distant = TestClient(app, client=("2001:db8:0:1::1", 1))
    statuses = {read(guesser, f"guess-{n}").status_code for n in range(100)}

    assert statuses == {401}
    assert refusal(read(guesser, "guess")) == (429, "Too many failed attempts")
    # One client may have all addresses of a network.
    assert refusal(read(neighbour, make_key()))[0] == 429
    assert read(distant, make_key()).status_code == 200
    clock.advance(seconds=61)
    assert read(neighbour, make_key()).status_code == 200


def test_disabled_keys_count_as_failures_and_lacking_permissions_do_not(
    api: TestClient, engine: Engine, make_key: MakeKey
) -> None:
    disabled, reader = make_key(), make_key("read")
    set_key(engine, disabled, is_active=False)

    assert [read(api, disabled).status_code for _ in range(11)] == [403] * 10 + [429]
    assert {sync(api, reader).status_code for _ in range(11)} == {403}
