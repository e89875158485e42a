"""The counts of a comparison, and when a clinic agrees."""

import json
from datetime import date

import pytest

from pims_pipeline.domain.adoption.agreement import DiffCounts, agrees, disagreement
from pims_pipeline.domain.adoption.differences import Difference
from pims_pipeline.domain.adoption.kinds import DifferenceKind
from pims_pipeline.domain.clinics import DateRange

WINDOW = DateRange(date(2026, 3, 13), date(2026, 3, 27))


def difference(kind: DifferenceKind, *, is_waiting: bool = False) -> Difference:
    return Difference(
        kind=kind,
        appointment_id="1",
        day=WINDOW.start,
        case_id=None,
        their_case_id=None,
        is_waiting=is_waiting,
    )


def counts(*differences: Difference, is_synced_here: bool = True) -> DiffCounts:
    made = DiffCounts(window=WINDOW, is_synced_here=is_synced_here, compared=9)
    for each in differences:
        made.add(each)
    return made


def test_the_summary_is_json_with_counts_alone() -> None:
    made = counts(
        difference(DifferenceKind.STATUS),
        difference(DifferenceKind.DUPLICATE_THERE),
        difference(DifferenceKind.STATUS, is_waiting=True),
    )
    assert json.loads(json.dumps(made.summary)) == {
        "from": "2026-03-13",
        "to": "2026-03-27",
        "syncedHere": True,
        "compared": 9,
        "differences": 1,
        "waiting": 1,
        "byKind": {"duplicate_there": 1, "status": 1},
    }


def test_edits_of_people_duplicates_and_what_waits_do_not_keep_a_clinic_from_agreeing() -> None:
    made = counts(
        difference(DifferenceKind.STATUS_BY_PEOPLE),
        difference(DifferenceKind.TYPE_BY_PEOPLE),
        difference(DifferenceKind.DUPLICATE_THERE),
        difference(DifferenceKind.MISSING_THERE, is_waiting=True),
    )
    assert agrees(made.summary)


@pytest.mark.parametrize(("accept", "agreed"), [(0, False), (1, False), (2, True)])
def test_so_many_differences_are_accepted(accept: int, agreed: bool) -> None:  # noqa: FBT001 - a parameter
    made = counts(difference(DifferenceKind.TIME), difference(DifferenceKind.MISSING_THERE))
    assert agrees(made.summary, accept) is agreed


@pytest.mark.parametrize(
    ("summary", "reason"),
    [
        (None, "never compared"),
        ({}, "not synced here"),
        ({"syncedHere": True}, "cannot be read"),
        (counts(is_synced_here=False).summary, "not synced here"),
        (counts(difference(DifferenceKind.TYPE)).summary, "1 differences, and 0 are accepted"),
    ],
)
def test_a_clinic_that_does_not_agree_says_why(
    summary: dict[str, object] | None, reason: str
) -> None:
    assert reason in (disagreement(summary) or "")
