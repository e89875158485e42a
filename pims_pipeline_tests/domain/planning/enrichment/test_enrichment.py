"""What a fetched consultation changes."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from pims_pipeline.domain.planning.enrichment import (
    plan_consultations,
)
from pims_pipeline.domain.records.consultations import (
    Vital,
    Vitals,
)
from pims_pipeline_tests.domain.planning.enrichment.consultations import (
    CASE_ID,
    MINUTE,
    RECORD,
    SECOND,
    START,
    case,
    enriched,
    response,
)


def test_a_first_consultation_is_written_whole() -> None:
    plan = plan_consultations({CASE_ID: case()}, [response()])
    (write,) = plan.writes
    assert write.metadata["notes"] == "itchy"
    assert write.metadata["digest"] == write.digest
    assert write.metadata["fetchedAt"] == (START + 2 * MINUTE).isoformat()
    assert write.changes["consultation.notes"] == (None, "itchy")
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}
    assert (plan.unchanged, plan.absent, plan.implausible) == (frozenset(),) * 3


def test_a_corrected_note_is_the_only_change_named() -> None:
    (write,) = plan_consultations(
        {CASE_ID: enriched()}, [response(replace(RECORD, notes="scratchy"))]
    ).writes
    assert write.changes == {"consultation.notes": ("itchy", "scratchy")}


def test_an_unchanged_consultation_writes_nothing() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [response()])
    assert plan.writes == ()
    assert plan.unchanged == {CASE_ID}
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}


@pytest.mark.parametrize(
    ("late", "dropped"), [(-SECOND, True), (0 * SECOND, False), (SECOND, False)]
)
def test_an_older_response_never_overwrites_a_newer_one(late: timedelta, *, dropped: bool) -> None:
    known = enriched()
    assert known.checked_at is not None
    record = replace(RECORD, notes="scratchy")
    plan = plan_consultations({CASE_ID: known}, [response(record, at=known.checked_at + late)])
    assert (plan.writes == ()) is dropped
    assert (plan.checked == {}) is dropped
    assert plan.unchanged == (frozenset({CASE_ID}) if dropped else frozenset())


def test_an_older_absence_is_dropped_too() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [response(None, at=START)])
    assert (plan.checked, plan.absent) == ({}, frozenset())


def test_a_consultation_that_vanished_at_the_vendor_is_kept() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [response(None)])
    assert plan.writes == ()
    assert plan.absent == {CASE_ID}
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}


def test_a_response_for_a_deleted_case_changes_nothing() -> None:
    plan = plan_consultations({}, [response()])
    assert (plan.writes, plan.checked) == ((), {})
    assert plan.unchanged == {CASE_ID}


def test_a_response_for_a_deleted_case_skips_no_later_one() -> None:
    gone = replace(response(), case_id=UUID(int=99))
    plan = plan_consultations({CASE_ID: case()}, [gone, response()])
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


def test_a_case_without_a_consultation_skips_no_later_one() -> None:
    without = replace(case(), case_id=UUID(int=99))
    plan = plan_consultations(
        {CASE_ID: case(), without.case_id: without},
        [replace(response(None), case_id=without.case_id), response()],
    )
    assert plan.absent == {without.case_id}
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


def test_cases_with_implausible_vitals_are_named_written_or_not() -> None:
    record = replace(RECORD, vitals=Vitals(temperature_c=Vital(20.0, "20")))
    assert plan_consultations({CASE_ID: case()}, [response(record)]).implausible == {CASE_ID}
    assert plan_consultations({CASE_ID: enriched(record)}, [response(record)]).implausible == {
        CASE_ID
    }
    fine = replace(RECORD, vitals=Vitals(temperature_c=Vital(38.5, "38.5")))
    assert plan_consultations({CASE_ID: case()}, [response(fine)]).implausible == frozenset()
