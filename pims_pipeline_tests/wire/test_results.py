"""The JSON of results: the names and sums that clients of the API know."""

from datetime import UTC, date, datetime
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.sync import results
from pims_pipeline.wire.results import any_result

NOW = datetime(2026, 3, 29, 1, 5, tzinfo=UTC)
WINDOW = DateRange(date(2026, 3, 1), date(2026, 4, 10))
SYNC, CASE = UUID(int=1), UUID(int=2)


def result(
    phase: Phase, counts: Counts, *deleted: UUID, error: str | None = None
) -> results.PhaseResult:
    return results.PhaseResult(
        phase=phase,
        success=error is None,
        sync_id=SYNC,
        counts=counts,
        window=WINDOW,
        duration_ms=5000,
        ended_at=NOW,
        deleted_cases=deleted,
        error=error,
    )


FACTS = {
    "success": True,
    "syncId": str(SYNC),
    "dateRange": {"startDate": "2026-03-01", "endDate": "2026-04-10"},
    "durationMs": 5000,
    "timestamp": "2026-03-29T01:05:00.000Z",
}


def test_what_an_inbound_phase_did_not_need_to_write_is_skipped() -> None:
    counts = Counts(
        found=28,
        created=1,
        updated=2,
        unchanged=3,
        restored=4,
        blocked=5,
        quarantined=6,
        left_out=7,
    )

    assert any_result(result(Phase.INBOUND, counts)).model_dump(mode="json") == {
        **FACTS,
        "stats": {
            "appointmentsFound": 28,
            "casesCreated": 1,
            "casesUpdated": 2,
            "casesSkipped": 21,
            "casesRestored": 4,
            "quarantined": 6,
            "leftOut": 7,
        },
    }


def test_enrichment_counts_what_needed_nothing_as_skipped() -> None:
    counts = Counts(found=10, enriched=4, skipped=3, unchanged=2, errored=1)

    assert any_result(result(Phase.CASES, counts)).model_dump(mode="json") == {
        **FACTS,
        "stats": {"casesFound": 10, "casesEnriched": 4, "casesSkipped": 5, "casesErrored": 1},
    }


def test_reconciliation_names_the_deleted_cases() -> None:
    counts = Counts(found=11, deleted=1, updated=1, unchanged=4, held=3, left_out=2)
    error = "the deletion guard holds back 3 deletions"

    shown = any_result(result(Phase.RECONCILIATION, counts, CASE, error=error))

    assert shown.model_dump(mode="json") == {
        **FACTS,
        "success": False,
        "stats": {
            "casesChecked": 11,
            "casesDeleted": 1,
            "casesUpdated": 1,
            "casesHeld": 3,
            "leftOut": 2,
        },
        "deletedCases": [str(CASE)],
        "error": error,
    }


def test_a_full_result_holds_each_phase_s_by_name() -> None:
    phases = tuple(result(phase, Counts()) for phase in Phase)
    full = results.FullSyncResult(
        success=True, sync_id=SYNC, phases=phases, window=WINDOW, duration_ms=5000, ended_at=NOW
    )

    shown = any_result(full).model_dump(mode="json")

    parts = {phase.names.result: shown.pop(phase.names.result) for phase in Phase}
    assert shown == FACTS
    assert parts == {
        each.phase.names.result: any_result(each).model_dump(mode="json") for each in phases
    }


def test_a_phase_that_did_not_begin_has_a_null_for_its_id() -> None:
    began_not = results.PhaseResult(
        phase=Phase.CASES,
        success=False,
        sync_id=None,
        counts=Counts(),
        window=WINDOW,
        duration_ms=0,
        ended_at=NOW,
        error="it did not run for the whole window",
    )

    assert any_result(began_not).model_dump(mode="json")["syncId"] is None
