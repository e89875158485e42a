"""The error for a refusing database names the reason, and no host, role or table."""

from uuid import uuid4

from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.api.support.keys import MakeKey


def test_the_error_names_the_reason_of_the_refusal_and_when_to_retry(
    api: TestClient, engine: Engine, make_key: MakeKey
) -> None:
    key = make_key("read")
    with transaction(engine) as connection:
        connection.execute(text("REVOKE SELECT ON cases FROM pims_api"))
    response = api.get(f"/api/cases/{uuid4()}/provenance", headers={"X-API-Key": key})
    assert response.status_code == 503
    assert response.json()["error"] == (
        "The database is not available: the database login lacks a right; try again later"
    )
    assert response.headers["Retry-After"] == "5"
