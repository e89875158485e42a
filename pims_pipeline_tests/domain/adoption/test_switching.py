"""Whether a clinic may be switched, and their schedule without and with our phases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.switching import switched_off, switched_on, why_not

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
AGREES = {"syncedHere": True, "differences": 0}

_TYPES = st.sampled_from(["inbound", "cases", "reconciliation", "backup"])
_ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"type": _TYPES, "cron": st.sampled_from(["0 * * * *", "5 4 * * *"])},
        optional={"enabled": st.booleans(), "owner": st.just("x")},
    ),
    st.integers(),
)
_SCHEDULES: st.SearchStrategy[Any] = st.one_of(
    st.lists(_ENTRIES, max_size=5), st.dictionaries(_TYPES, st.just("0 * * * *"))
)


@pytest.mark.parametrize(
    ("summary", "age", "accept", "expected"),
    [
        (AGREES, timedelta(hours=1), 0, None),
        (None, timedelta(hours=1), 0, "never compared"),
        (AGREES, timedelta(hours=25), 0, "more than a day ago"),
        ({**AGREES, "syncedHere": False}, timedelta(), 0, "not synced here"),
        ({"syncedHere": True}, timedelta(), 0, "cannot be read"),
        ({**AGREES, "differences": True}, timedelta(), 0, "cannot be read"),
        ({**AGREES, "differences": 3}, timedelta(), 2, "found 3 differences, and 2"),
        ({**AGREES, "differences": 3}, timedelta(), 3, None),
    ],
)
def test_a_clinic_is_switched_if_its_last_comparison_is_fresh_and_agrees(
    summary: dict[str, object] | None, age: timedelta, accept: int, expected: str | None
) -> None:
    why = why_not(summary, NOW - age, NOW, accept)

    assert why is None if expected is None else expected in str(why)


@given(_SCHEDULES)
def test_off_and_on_again_restores_every_schedule(stored: Any) -> None:
    assert switched_on(stored, switched_off(stored)).edited == ()
    restored = switched_on(stored, switched_off(stored)).schedule
    if isinstance(stored, list):
        assert restored == stored
    else:
        assert dict(restored) == stored


@given(_SCHEDULES)
def test_off_leaves_no_phase_on_and_others_as_they_are(stored: Any) -> None:
    off = switched_off(stored)

    if isinstance(off, dict):
        assert set(off) <= {"backup"}
        return
    for before, after in zip(stored, off, strict=True):
        if isinstance(after, dict) and after["type"] != "backup":
            assert after["enabled"] is False
        else:
            assert after == before
    assert switched_off(off) == off


def test_an_entry_that_someone_edited_while_it_was_off_stays() -> None:
    kept = [
        {"type": "inbound", "cron": "0 * * * *", "enabled": True},
        {"type": "cases", "cron": "5 * * * *", "enabled": True},
    ]
    present = [
        {"type": "inbound", "cron": "30 * * * *", "enabled": True},
        {"type": "cases", "cron": "5 * * * *", "enabled": False},
    ]

    restored = switched_on(kept, present)

    assert restored.schedule == [present[0], kept[1]]
    assert restored.edited == ("inbound",)


def test_a_schedule_of_another_form_stays() -> None:
    assert switched_on({"inbound": "0 * * * *"}, []).edited == ("the whole schedule",)
