"""Values are sent only to webhooks that were added so, and never more than a body may have."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.queries.changes import Change
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.webhooks import management
from pims_pipeline.webhooks.messages import MOST_BYTES, change_message
from pims_pipeline.wire.feed.webhooks import Message
from pims_pipeline_tests.webhooks.conftest import LOOPBACK, Hook, cases
from pims_pipeline_tests.webhooks.receiver import Receiver


def test_a_webhook_that_was_added_so_gets_values(
    engine: Engine, vault: Vault, clinic: Clinic, receiver: Receiver
) -> None:
    webhook, secret = management.add(
        engine, vault, clinic.slug, receiver.url, allowed=LOOPBACK, with_values=True
    )
    hook = Hook(engine, vault, clinic, receiver, webhook.id, secret)
    hook.change(*cases(1))
    hook.deliver()

    [got] = receiver.received
    assert got.verified_by(secret)
    assert got.message["data"]["values"] == {
        "patient_name": ["Rex", "Max"],
        "client_phone": [None, "555-0100"],
    }


def test_the_default_is_no_values(hook: Hook) -> None:
    hook.change(*cases(1))
    hook.deliver()

    [got] = hook.receiver.received
    assert "values" not in got.message["data"]
    assert not hook.state.with_values


def change_of(fields: tuple[str, ...], values: Mapping[str, Any] | None) -> Change:
    return Change(
        seq=1,
        case_id=uuid4(),
        kind=EventKind.UPDATED,
        fields=fields,
        occurred_at=datetime(2026, 3, 29, tzinfo=UTC),
        partition_key="riverbend|2026-03-29",
        run_id="run-1",
        audit_id=uuid4(),
        phase=Phase.CASES,
        source_digest="d",
        values=values,
    )


@pytest.mark.parametrize(
    ("size", "has_values"), [(10, True), (60_000, True), (MOST_BYTES, False), (10**6, False)]
)
def test_a_body_that_would_be_too_long_has_no_values(size: int, *, has_values: bool) -> None:
    body = change_message(change_of(("note",), {"note": [None, "x" * size]}), "riverbend")
    data = Message.model_validate_json(body).data

    assert len(body) <= MOST_BYTES
    assert not isinstance(data, dict)
    assert (data.values is not None, data.fields) == (has_values, ["note"])


def test_a_body_has_no_names_of_fields_if_they_alone_are_too_long() -> None:
    fields = tuple(f"field_{number}" for number in range(10_000))
    body = change_message(change_of(fields, {each: [1, 2] for each in fields}), "riverbend")

    assert len(body) <= MOST_BYTES
