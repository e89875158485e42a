"""A client of one clinic that checks every response, and a watch on what its requests change."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from httpx2 import Response
from sqlalchemy import text
from starlette.testclient import TestClient

from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.api.support.operations import Operation
from pims_pipeline_tests.api.support.recorded import RecordedResponse, faults
from pims_pipeline_tests.api.support.tenants import (
    ServedClinics,
    Tenant,
)

_addresses = (f"198.51.100.{number}" for number in itertools.cycle(range(1, 255)))


@dataclass
class ClinicClient:
    """Sends requests for one clinic, from its own address, and checks every response."""

    served: ServedClinics
    recorded: list[RecordedResponse]
    tenant: Tenant
    address: str = field(default_factory=lambda: next(_addresses))

    def __post_init__(self) -> None:
        self._client = TestClient(self.served.app, client=(self.address, 1))
        self._foreign = {
            trace
            for other in self.served.tenants.values()
            if other is not self.tenant
            for trace in other.traces
        }

    def request(
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
        self._check(operation, self.recorded[-1])
        return response

    def _check(self, operation: Operation, response: RecordedResponse) -> None:
        method, path = operation
        documented = self.served.app.openapi()["paths"][path][method]["responses"]
        assert str(response.status) in documented, str(response)
        assert list(faults(response, self.served.secrets)) == [], str(response)
        assert not any(trace in response.text for trace in self._foreign), str(response)


_DIGESTS = " UNION ALL ".join(
    f"SELECT '{name}' AS name, md5(string_agg(row, ' ' ORDER BY row)) AS digest "  # noqa: S608 - our own names
    f"FROM (SELECT to_jsonb(t)::text AS row FROM {name} AS t) AS {name}"
    for name in metadata.tables
)


class Watch:
    """Reports what has changed since it was created: in any table, and in Dagster."""

    def __init__(self, served: ServedClinics) -> None:
        self._quiet = served
        self._runs = set(served.dagster.runs)
        self._before = self._digests()

    def _digests(self) -> set[tuple[str, str | None]]:
        with transaction(self._quiet.owner) as connection:
            return {(row.name, row.digest) for row in connection.execute(text(_DIGESTS))}

    @property
    def changed(self) -> set[str]:
        """The tables that have changed."""
        return {name for name, _ in self._digests() ^ self._before}

    @property
    def started(self) -> list[Mapping[str, str]]:
        """The tags of new runs."""
        runs = self._quiet.dagster.runs
        return [run.tags for run_id, run in runs.items() if run_id not in self._runs]
