"""What a case becomes, which duplicate is linked, and that a plan changes nothing that is here."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.importing import (
    LEFT_OUT_KEYS,
    SERVICE_KEYS,
    Candidate,
    ImportedCase,
    ImportFinding,
    KnownCase,
    imported,
    plan_import,
    resolve_duplicates,
)
from pims_pipeline.domain.adoption.v4 import V4Case, V4Patient

ZONE = ZoneInfo("America/New_York")
MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CLINIC = UUID(int=77)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*SERVICE_KEYS, "appointment", "consultation", "entities"]) | st.text()


def case(number: int = 1, **changes: Any) -> V4Case:
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "clinic_id": CLINIC,
        "external_id": str(number),
        "appointment_id": str(number),
        "source": None,
        "scheduled_at": datetime(2026, 3, 20, 3, tzinfo=UTC),
        "scheduled_date": None,
        "status": "draft",
        "case_type": "checkup",
        "visibility": "private",
        "metadata": {},
        "patient": V4Patient(name="Rex", owner_name="Ann"),
        "created_at": MADE,
        "updated_at": MADE,
        **changes,
    }
    return V4Case(**values)


def become(number: int = 1, **changes: Any) -> ImportedCase:
    return imported(case(number, **changes), str(number), ZONE)


def test_the_date_is_the_clinics() -> None:
    assert become().scheduled_date == date(2026, 3, 19)


def test_a_date_without_a_time_begins_at_midnight_of_the_clinic() -> None:
    found = become(scheduled_at=None, scheduled_date=date(2026, 3, 20))
    assert found.scheduled_start == datetime(2026, 3, 20, 4, tzinfo=UTC)
    assert found.scheduled_date == date(2026, 3, 20)


def test_a_case_without_a_time_has_the_one_at_which_it_was_made() -> None:
    found = become(scheduled_at=None)
    assert found.scheduled_start == MADE
    assert ImportFinding.WITHOUT_TIME in found.findings


@pytest.mark.parametrize(
    ("status", "mark", "retired"),
    [
        ("reviewed", {"deleted": True}, True),
        ("draft", {"deleted": True}, False),
        ("reviewed", None, False),
        ("reviewed", {}, False),
    ],
)
def test_a_case_is_retired_if_it_is_marked_so_and_still_reviewed(
    status: str,
    mark: dict[str, Any] | None,
    retired: bool,  # noqa: FBT001 - a case of the table
) -> None:
    found = become(status=status, metadata={"reconciliation": mark})
    assert ("reconciliation" in found.own_metadata) is retired
    assert (ImportFinding.RETIRED in found.findings) is retired


@given(st.dictionaries(keys, json_values))
def test_only_our_own_keys_are_written_whatever_theirs_hold(metadata: dict[str, Any]) -> None:
    found = become(metadata=metadata, status="reviewed").own_metadata
    assert found.keys() <= {"appointment", "consultation", "reconciliation"}
    assert found.keys() <= LEFT_OUT_KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 3)), max_size=12)
)
def test_of_each_appointment_exactly_one_case_is_linked(
    drawn: list[tuple[str, int, int]],
) -> None:
    candidates = [
        Candidate(UUID(int=number), appointment, datetime(2026, 1, 1 + day, tzinfo=UTC))
        for number, (appointment, day, _) in enumerate(drawn)
    ]
    references = Counter(
        {UUID(int=number): count for number, (_, _, count) in enumerate(drawn) if count}
    )
    found = resolve_duplicates(candidates, references)
    by_appointment = Counter(each.appointment_id for each in candidates)
    assert {each.appointment_id for each in found} == {
        name for name, count in by_appointment.items() if count > 1
    }
    for each in found:
        group = [one for one in candidates if one.appointment_id == each.appointment_id]
        assert {each.linked, *each.others} == {one.id for one in group}
        assert len(each.others) == len(group) - 1
        assert references[each.linked] == max(references[one.id] for one in group)


@given(
    st.sets(st.integers(1, 8)),
    st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from([CLINIC, UUID(int=1)]), st.integers(1, 8)),
        unique_by=lambda each: each[0],
    ),
)
def test_a_plan_covers_every_case_once_and_never_writes_over_one_that_is_here(
    numbers: set[int], here: list[tuple[int, UUID, int]]
) -> None:
    cases = [become(number) for number in sorted(numbers)]
    known = [KnownCase(UUID(int=id_), clinic, str(pims_id)) for id_, clinic, pims_id in here]
    plan = plan_import(CLINIC, cases, known)
    linked: Sequence[ImportedCase] = list(plan.links.values())
    assert sorted([*(each.id for each in (*plan.imports, *linked)), *plan.collisions]) == sorted(
        each.id for each in cases
    )
    assert not {each.id for each in plan.imports} & {each.id for each in known}
    assert not {each.pims_id for each in plan.imports} & {
        each.pims_id for each in known if each.clinic_id == CLINIC
    }
    again = plan_import(
        CLINIC, cases, [*known, *(KnownCase(c.id, CLINIC, c.pims_id) for c in plan.imports)]
    )
    assert again.imports == ()
