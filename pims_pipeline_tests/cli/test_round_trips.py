"""How often a command asks the database: each time costs a round trip, tens of ms from afar."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.cli.invocation import Pims

OF_A_NEW_CONNECTION = 4
"""SQLAlchemy asks for the version, the schema, and two settings."""
OF_THE_REVISION = 2
"""BEGIN with its settings, and the revision of the tables."""


@pytest.fixture
def sent(pims: Pims, monkeypatch: pytest.MonkeyPatch) -> list[object]:  # noqa: ARG001 - shares its engines
    """The statements that were sent, without COMMIT, which needs no cursor."""
    sent: list[object] = []
    execute: Callable[..., Any] = psycopg.Cursor.execute

    def noting(cursor: object, query: object, *args: object, **options: object) -> object:
        sent.append(query)
        return execute(cursor, query, *args, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noting)
    # Each command is a process of its own, with an engine that knows nothing of the server.
    monkeypatch.setattr("pims_pipeline.composition.create_engine", create_engine)
    return sent


def count(pims: Pims, sent: list[object], *args: str) -> int:
    """How many statements a command sends."""
    sent.clear()
    done = pims(*args)
    assert done.exit_code == 0, done.output
    return len(sent)


@pytest.mark.usefixtures("registered")
def test_the_status_reads_the_clock_and_the_tables_in_one_transaction(
    pims: Pims, sent: list[object]
) -> None:
    begin, clock, tables = 1, 1, 10

    assert count(pims, sent, "status") == (
        OF_A_NEW_CONNECTION + OF_THE_REVISION + begin + clock + tables
    ), sent


def test_listing_cases_asks_for_the_clinic_and_its_cases(
    pims: Pims, registered: str, sent: list[object]
) -> None:
    assert count(pims, sent, "cases", "list", f"--clinic={registered}") == (
        OF_A_NEW_CONNECTION + OF_THE_REVISION + 1 + 2
    ), sent


def test_listing_clinics_costs_the_same_for_any_number(
    pims: Pims, registered: str, sent: list[object]
) -> None:
    one = count(pims, sent, "clinics", "list")
    for slug in ("oak", "elm"):
        done = pims(
            *("clinics", "add", slug, f"--name=Not {registered}", "--timezone=Europe/London"),
            *("--provider=idexx_neo", f"--base-url=https://{slug}.example"),
        )
        assert done.exit_code == 0, done.output

    assert count(pims, sent, "clinics", "list") == one
