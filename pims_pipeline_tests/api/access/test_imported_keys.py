"""Keys imported from a v4.0 installation: any text, and several that begin alike."""

import hmac
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, insert, text
from starlette.testclient import TestClient

from pims_pipeline.api.access import auth
from pims_pipeline.domain.api_keys import hash_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.access import clinic_api_keys

PREFIX = "live_key"
FRONT, OTHER = f"{PREFIX}-front-0123456789", f"{PREFIX}-other-0123456789"

AddKey = Callable[..., None]


@pytest.fixture
def oak(engine: Engine) -> Clinic:
    """Another clinic."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://oak.example",
        )


@pytest.fixture
def add_key(engine: Engine) -> AddKey:
    """Stores a key as an import does."""

    def add(clinic: Clinic, key: str, **values: object) -> None:
        row = {"name": "imported", "key_prefix": key[:8], "key_hash": hash_of(key), **values}
        with transaction(engine) as connection:
            connection.execute(insert(clinic_api_keys).values(clinic_id=clinic.id, **row))

    return add


def add_case(engine: Engine, clinic: Clinic) -> None:
    """A case whose id is its clinic's."""
    case = (
        "INSERT INTO cases (id, clinic_id, patient_name, client_name, scheduled_date) "
        "VALUES (:id, :id, 'Biscuit', 'Sam', '2026-03-09')"
    )
    with transaction(engine) as connection:
        connection.execute(text(case), {"id": clinic.id})


def listed(api: TestClient, key: str | bytes) -> int:
    sent = key if isinstance(key, bytes) else key.encode("latin-1")
    return api.get("/api/sync", headers=[(b"X-API-Key", sent)]).status_code


def test_keys_that_begin_alike_each_give_access_to_their_own_clinic(
    api: TestClient, add_key: AddKey, clinic: Clinic, oak: Clinic, engine: Engine
) -> None:
    add_key(clinic, FRONT)
    add_key(oak, OTHER, key_prefix=OTHER[:12])
    add_key(oak, f"{PREFIX}-revoked", is_active=False)
    for each in (clinic, oak):
        add_case(engine, each)

    def seen(key: str, of: Clinic) -> int:
        path = f"/api/cases/{of.id}/provenance"
        return api.get(path, headers={"X-API-Key": key}).status_code

    assert {(key, of.slug): seen(key, of) for key in (FRONT, OTHER) for of in (clinic, oak)} == {
        (FRONT, clinic.slug): 200,
        (FRONT, "oak"): 404,
        (OTHER, clinic.slug): 404,
        (OTHER, "oak"): 200,
    }
    assert listed(api, f"{PREFIX}-revoked") == 403
    assert listed(api, f"{PREFIX}-unknown") == 401


@pytest.mark.parametrize(
    "key",
    [
        "12345678",
        "key with spaces, commas and a = sign",
        "0b6a3a1e-5f0e-4f7e-9f43-0f2f7a3f6f10",
        "sk_live.4f7e/9f43+0f2f==",
        "clé-d'accès-à-la-clinique",
        "AbCd1234_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG1ehAwX",
        "k" * 512,
    ],
)
def test_a_key_of_any_shape_is_accepted(
    api: TestClient, add_key: AddKey, clinic: Clinic, key: str
) -> None:
    add_key(clinic, key)

    assert listed(api, key) == listed(api, key.encode()) == 200
    assert listed(api, key[:-1] + "~") == 401
    assert listed(api, key + "~") == 401


def test_every_candidate_is_compared_in_constant_time(
    api: TestClient,
    add_key: AddKey,
    clinic: Clinic,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        add_key(clinic, f"{PREFIX}-{number}")
    compared: list[object] = []
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(other)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    counts = []
    for key in (f"{PREFIX}-0", f"{PREFIX}-4", f"{PREFIX}-unknown", "nothing_begins_so"):
        compared.clear()
        listed(api, key)
        counts.append(len(compared))

    assert counts == [5, 5, 5, 1]


def test_too_many_failed_attempts_are_refused_before_anything_is_hashed(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counting(text: str) -> str:
        hashed.append(text)
        return hash_of(text)

    monkeypatch.setattr(auth, "hash_of", counting)
    statuses = [listed(api, f"{PREFIX}-wrong") for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2
    assert len(hashed) == 10


def test_failed_attempts_with_one_key_do_not_lock_out_others_that_begin_alike(
    api: TestClient, add_key: AddKey, clinic: Clinic
) -> None:
    add_key(clinic, FRONT)
    assert {listed(api, f"{PREFIX}-wrong") for _ in range(11)} == {401, 429}

    assert listed(api, FRONT) == 200


@pytest.mark.parametrize(
    ("permissions", "statuses"),
    [
        (["sync:inbound", "sync:cases", "sync:reconciliation"], (400, 400, 403)),
        (["sync:*"], (400, 400, 403)),
        (["sync:reconcile"], (400, 403, 403)),
        (["", "odd"], (403, 403, 403)),
        (None, (400, 400, 200)),
    ],
)
def test_permissions_have_either_name(
    api: TestClient,
    add_key: AddKey,
    clinic: Clinic,
    permissions: list[str] | None,
    statuses: tuple[int, ...],
) -> None:
    add_key(clinic, FRONT, permissions=permissions)
    # A body with an unknown field: the key is checked before it.
    headers, body = {"X-API-Key": FRONT}, {"unknown": 1}
    found = [
        api.post(f"/api/sync/{path}", headers=headers, json=body).status_code
        for path in ("reconciliation", "full")
    ]

    assert (*found, listed(api, FRONT)) == statuses
