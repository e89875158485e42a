"""Every operation of the API: what it needs, and what it changes. Add a new route here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from httpx2 import Response

from pims_pipeline.domain.api_keys import new_key
from pims_pipeline_tests.api.support.tenants import (
    ACTIVE,
    DISABLED,
    EXPIRED,
    ServedClinics,
    Tenant,
    forged,
)

Operation = tuple[str, str]
"""Method and path."""
Refusal = tuple[int, str]
"""Status and text."""

LOOPBACK = "127.0.0.1"
BODIES = ("{}", '{"unknown": 1}', "{")
"""A valid one, one with an unknown field, and one that is not JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What an operation needs, and what it does.

    Attributes:
        needs: Permissions, in the order in which they are checked; None if it needs no key.
        succeeds: The status for a clinic's own key and ids.
        id_of: The id of the clinic's row for the path.
        unknown: The error for any other id.
        changes: The tables that it changes.
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
    ("get", "/api/changes"): Row(needs=("read",)),
    ("get", "/"): Row(needs=None),
    ("get", "/health"): Row(needs=None),
    ("get", "/ready"): Row(needs=None),
    # Only for this machine; the tests' clients have other addresses.
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
"""The error of every operation that needs a key, by the state of the key."""


def refusal(response: Response) -> Refusal:
    return response.status_code, response.json()["error"]


def ids_for(operation: Operation, served: ServedClinics) -> list[UUID | None]:
    """The ids of each clinic's row and an unknown one; or none, if the path has none."""
    id_of = MATRIX[operation].id_of
    if id_of is None:
        return [None]
    return [*(id_of(tenant) for tenant in served.tenants.values()), uuid4()]


def bodies_for(operation: Operation) -> tuple[str | None, ...]:
    return BODIES if operation in STARTING else (None,)


def name_of(operation: Operation) -> str:
    return " ".join(operation)


def operations(chosen: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", chosen, ids=name_of)
