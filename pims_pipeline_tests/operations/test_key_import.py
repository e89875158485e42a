"""Importing the keys of a v4.0 installation: all or nothing, and once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from pims_pipeline.domain.adoption.api_keys import ImportOutcome
from pims_pipeline.domain.api_keys import hash_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.operations.key_import import ChosenClinics, KeyImport, import_keys
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.installations import SCHEMA, create_installation
from pims_pipeline_tests.cli.invocation import everything

AMOUNT = 40


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture
def chosen(engine: Engine, database_url: str, clinic: Clinic) -> ChosenClinics:
    """The clinic of all keys of an installation, which begin alike."""
    create_installation(database_url, "deployed")
    with transaction(engine) as connection:
        for number in range(AMOUNT):
            connection.execute(
                text(
                    f"INSERT INTO {SCHEMA}.clinic_api_keys (name, key_hash, key_prefix) "  # noqa: S608 - a constant
                    "VALUES (:name, :hash, 'live_key')"
                ),
                {"name": f"key {number}", "hash": hash_of(f"live_key-{number}")},
            )
    return ChosenClinics(for_all=clinic.slug)


def run(engine: Engine, chosen: ChosenClinics, wait_seconds: int | None = None) -> KeyImport:
    return import_keys(engine, SCHEMA, chosen, wait_seconds=wait_seconds, now=datetime.now(UTC))


@pytest.mark.parametrize("wait_seconds", [None, 30])
def test_an_import_that_ends_at_any_statement_leaves_nothing_half(
    engine: Engine, chosen: ChosenClinics, wait_seconds: int | None
) -> None:
    if wait_seconds is not None:
        # Then the second import changes every key.
        run(engine, chosen)
    before, at = everything(engine), 0
    while True:
        at += 1
        left = at

        def end(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KilledError

        event.listen(engine, "before_cursor_execute", end)
        try:
            run(engine, chosen, wait_seconds)
        except KilledError:
            assert left == 0
        else:
            break
        finally:
            event.remove(engine, "before_cursor_execute", end)
        assert everything(engine) == before
    assert at >= 5
    with transaction(engine) as connection:
        waits = connection.execute(
            text("SELECT wait_seconds, count(*) FROM clinic_api_keys GROUP BY 1")
        ).all()
    assert waits == [(wait_seconds, AMOUNT)]


def test_imports_at_once_store_each_key_once(engine: Engine, chosen: ChosenClinics) -> None:
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(run, engine, chosen) for _ in range(4)]
        outcomes = [{each.outcome for each in future.result().keys} for future in futures]

    assert outcomes.count({ImportOutcome.IMPORTED}) == 1
    assert outcomes.count({ImportOutcome.UNCHANGED}) == 3


@pytest.mark.parametrize(
    ("kind", "stored", "permissions"),
    [
        ("jsonb", '["sync:inbound"]', ["sync:inbound"]),
        ("jsonb", '{"sync:inbound": true}', [""]),
        ("text", "sync:inbound, sync:cases", ["sync:inbound", "sync:cases"]),
        ("text", '["sync:inbound"]', ["sync:inbound"]),
        ("text", "{sync:inbound,sync:cases}", ["sync:inbound", "sync:cases"]),
        ("text", "", [""]),
    ],
)
def test_permissions_may_be_kept_as_json_or_text_and_never_become_all(
    engine: Engine, chosen: ChosenClinics, kind: str, stored: str, permissions: list[str]
) -> None:
    table = f"{SCHEMA}.clinic_api_keys"
    with transaction(engine) as connection:
        connection.execute(text(f"ALTER TABLE {table} ALTER permissions DROP DEFAULT"))
        connection.execute(
            text(f"ALTER TABLE {table} ALTER permissions TYPE {kind} USING to_jsonb(permissions)")
        )
        connection.execute(
            text(f"UPDATE {table} SET permissions = CAST(:stored AS {kind})"),  # noqa: S608 - of this test
            {"stored": stored},
        )

    run(engine, chosen)

    with transaction(engine) as connection:
        found = connection.scalars(text("SELECT DISTINCT permissions FROM clinic_api_keys")).all()
    assert found == [permissions]
