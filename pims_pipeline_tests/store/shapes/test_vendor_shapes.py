"""The shapes that are kept by week: added up, limited in number, deleted when they are old."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.drift import Drift
from pims_pipeline.domain.records.shapes import MAX_PATHS, Endpoint, FieldShape, Shapes
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.shapes.reading import clinic_drift, drift_of_all, weekly_shapes
from pims_pipeline.store.shapes.writing import add_shapes, prune_shapes

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
MONDAY = date(2026, 3, 16)
LISTED: Shapes = (
    FieldShape("listing", "array", 1),
    FieldShape("listing[]", "object", 20),
    FieldShape("listing[].id", "number", 20),
)
REASON = (FieldShape("listing[].reason", "string", 20),)


def add(engine: Engine, clinic: Clinic, shapes: Shapes, at: datetime = NOW) -> None:
    with transaction(engine) as connection:
        add_shapes(connection, clinic, shapes, at)


def rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def kept(engine: Engine, clinic: Clinic) -> dict[str, dict[date, int]]:
    with transaction(engine) as connection:
        found = weekly_shapes(connection, clinic.id, clinic.provider_type)
    return {f"{each.path} {each.json_type}": dict(each.weeks) for each in found}


def test_counts_are_added_up_by_week(engine: Engine, clinic: Clinic) -> None:
    sunday = datetime(2026, 3, 15, 23, 59, tzinfo=UTC)
    later = NOW + timedelta(hours=1)
    for at in (later, NOW, sunday):
        add(engine, clinic, LISTED, at)
    assert kept(engine, clinic)["listing[].id number"] == {MONDAY: 40, date(2026, 3, 9): 20}
    [(first, last)] = rows(
        engine,
        "SELECT first_seen_at, last_seen_at FROM vendor_shapes "
        "WHERE path = 'listing' AND week = '2026-03-16'",
    )
    assert (first, last) == (NOW, later)


def test_nothing_seen_writes_nothing(engine: Engine, clinic: Clinic) -> None:
    add(engine, clinic, ())
    assert kept(engine, clinic) == {}


def test_no_count_is_lost_when_several_add_at_once(engine: Engine, clinic: Clinic) -> None:
    together = Barrier(4)

    def add_some(_: int) -> None:
        together.wait()
        for _ in range(5):
            add(engine, clinic, LISTED)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_some, range(4)))
    assert kept(engine, clinic)["listing[] object"] == {MONDAY: 20 * 4 * 5}


def test_a_week_has_few_paths_and_those_that_are_there_still_count(
    engine: Engine, clinic: Clinic
) -> None:
    add(engine, clinic, LISTED)
    many = tuple(FieldShape(f"a.f{n:04}", "string") for n in range(MAX_PATHS))
    add(engine, clinic, many)
    add(engine, clinic, (*LISTED, FieldShape("listing[].id", "string")))
    found = kept(engine, clinic)
    assert len({each.split()[0] for each in found}) == MAX_PATHS
    assert found["listing[].id number"] == {MONDAY: 40}
    assert found["listing[].id string"] == {MONDAY: 1}
    add(engine, clinic, REASON, NOW + timedelta(weeks=1))
    assert "listing[].reason string" in kept(engine, clinic)


def test_shapes_that_are_older_than_the_retention_are_deleted(
    engine: Engine, clinic: Clinic
) -> None:
    add(engine, clinic, LISTED, NOW - timedelta(weeks=2))
    add(engine, clinic, LISTED)
    with transaction(engine) as connection:
        assert prune_shapes(connection, NOW - timedelta(weeks=1)) == len(LISTED)
        assert prune_shapes(connection, NOW - timedelta(weeks=1)) == 0
    assert kept(engine, clinic)["listing array"] == {MONDAY: 1}


def test_drift_is_that_of_what_was_added(engine: Engine, clinic: Clinic) -> None:
    for ago in range(24, -1, -1):
        at = NOW - timedelta(days=ago)
        add(engine, clinic, LISTED, at)
        if ago >= 8:
            add(engine, clinic, REASON, at)
        if ago <= 2:
            add(engine, clinic, (FieldShape("listing[].id", "string"),), at)
            add(engine, clinic, (FieldShape("listing[].tier", "null"),), at)
    expected = Drift(
        new=("listing[].tier (null)",),
        missing=("listing[].reason (string)",),
        changed=("listing[].id (number; now number, string)",),
    )
    with transaction(engine) as connection:
        assert clinic_drift(connection, clinic, NOW) == expected
        assert clinic_drift(connection, clinic, NOW, [Endpoint.LOOKUP]) == Drift()
        assert drift_of_all(connection, NOW) == {clinic.slug: expected}
        # What was seen later is not known yet.
        assert clinic_drift(connection, clinic, NOW - timedelta(days=3)) == Drift()


def test_another_vendor_of_a_clinic_begins_its_first_week(engine: Engine, clinic: Clinic) -> None:
    add(engine, clinic, LISTED, NOW - timedelta(weeks=2))
    with transaction(engine) as connection:
        connection.execute(text("UPDATE clinics SET is_active = false"))
        assert drift_of_all(connection, NOW) == {}
        assert clinic_drift(connection, clinic, NOW - timedelta(weeks=2)).first_week == ("listing",)
        assert clinic_drift(connection, clinic, NOW).first_week == ()
