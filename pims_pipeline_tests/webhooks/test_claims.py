"""A claim reads few rows, however many wait and whatever the table's statistics say."""

from typing import Any

import pytest
from sqlalchemy import event, text

from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.webhooks.outbox import claim_due
from pims_pipeline_tests.webhooks.conftest import Hook

MANY = 5000


@pytest.fixture
def stuck(hook: Hook) -> Hook:
    """A webhook with many changes of one case, of which the first failed; others have none."""
    with transaction(hook.engine) as connection:
        connection.execute(
            text(
                "INSERT INTO webhooks (clinic_id, url, encrypted_data, key_id) "
                "SELECT clinic_id, url || n, encrypted_data, key_id "
                "FROM webhooks, generate_series(1, 50) AS n"
            )
        )
        connection.execute(
            text(
                "INSERT INTO webhook_deliveries (webhook_id, seq, clinic_id, case_id, due_at) "
                "SELECT id, n, clinic_id, id, CASE n WHEN 1 THEN now() + interval '1 hour' "
                "ELSE now() END FROM webhooks, generate_series(1, :many) AS n WHERE id = :id"
            ),
            {"many": MANY, "id": hook.id},
        )
    return hook


def explain(_: object, cursor: Any, statement: str, parameters: object, *_rest: object) -> None:
    """Explain a statement before it is executed."""
    cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", parameters)
    PLANS.append("\n".join(row[0] for row in cursor.fetchall()))


PLANS: list[str] = []


@pytest.mark.parametrize("statistics", ["ANALYZE webhook_deliveries", "SELECT"])
def test_no_claim_reads_the_whole_outbox(stuck: Hook, statistics: str) -> None:
    with transaction(stuck.engine) as connection:
        connection.execute(text(statistics))
    PLANS.clear()

    with transaction(stuck.engine) as connection:
        event.listen(connection, "before_cursor_execute", explain)
        assert claim_due(connection, 64, {}) == []

    [plan] = PLANS
    assert "Seq Scan on webhook_deliveries" not in plan
    assert "Anti Join" not in plan
