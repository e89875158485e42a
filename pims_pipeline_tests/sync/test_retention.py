"""Deleting old landed records changes no case, then or in later syncs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.sync import retention
from pims_pipeline.sync.phases.verification import (
    live_cases_deleted,
    replan_enrichment,
    replan_inbound,
    replan_reconciliation,
)
from pims_pipeline.sync.retention import PruneResult, prune_landed_records
from pims_pipeline_tests.sync.bench import DAY, Bench, local

DAYS = 60
TODAY = DateRange(DAY, DAY)


def landed(bench: Bench) -> list[object]:
    return [row.pims_id for row in bench.rows("SELECT pims_id FROM pims_appointments ORDER BY 1")]


def cases(bench: Bench) -> object:
    return (
        bench.rows("SELECT * FROM cases ORDER BY id"),
        bench.rows("SELECT * FROM case_events ORDER BY seq"),
    )


def prune(bench: Bench) -> PruneResult:
    return prune_landed_records(bench.engine, bench.clinic, days=DAYS, now=bench.clock())


@pytest.fixture
def aged(bench: Bench) -> Bench:
    """An old day with appointments that were kept, enriched, deleted or blocked."""
    for number, kind in enumerate((RecordKind.APPOINTMENT,) * 4 + (RecordKind.BLOCK,)):
        bench.vendor.book(str(number), local(DAY, 8 + number), kind=kind)
    bench.vendor.record_appointment("0", notes="all well")
    bench.inbound(TODAY)
    bench.enrich(TODAY)
    bench.vendor.delete("1")
    bench.in_run("run-2").reconcile(TODAY)
    bench.clock.forward(days=DAYS + 1)
    return bench.in_run("run-3")


def test_old_records_are_deleted_and_the_cases_stay(aged: Bench) -> None:
    before = cases(aged)
    assert prune(aged) == PruneResult(deleted=5, kept=0)
    assert landed(aged) == []
    assert cases(aged) == before


def test_syncing_a_pruned_day_again_changes_no_case(aged: Bench) -> None:
    prune(aged)
    before = cases(aged)
    aged.inbound(TODAY)
    aged.enrich(TODAY)
    aged.reconcile(TODAY)
    assert cases(aged) == before
    assert landed(aged) == ["0", "2", "3", "4"]


def test_the_record_of_an_edited_case_is_kept(aged: Bench) -> None:
    aged.run("UPDATE cases SET patient_name = 'Rex' WHERE pims_id = '2'")
    aged.run("UPDATE cases SET status = 'completed' WHERE pims_id = '3'")
    # The case itself shows that a status was edited; only the record shows it of a name.
    assert prune(aged) == PruneResult(deleted=4, kept=1)
    assert landed(aged) == ["2"]
    before = cases(aged)
    aged.inbound(TODAY)
    assert cases(aged) == before


def test_a_change_at_the_vendor_still_reaches_a_pruned_appointment_s_case(aged: Bench) -> None:
    prune(aged)
    aged.vendor.set_status("3", "Completed")
    aged.inbound(TODAY)
    assert aged.case("3").status == "completed"
    assert aged.events("3") == ["created", "status_changed"]


def test_a_retired_case_whose_record_is_deleted_is_restored_when_the_appointment_returns(
    aged: Bench,
) -> None:
    assert aged.case("1").gone == "true"
    prune(aged)
    aged.vendor.book("1", local(DAY, 9))
    aged.inbound(TODAY)
    assert aged.case("1").gone is None


def test_a_pruned_appointment_that_vanishes_is_retired_like_any_other(aged: Bench) -> None:
    prune(aged)
    aged.vendor.delete("3")
    outcome = aged.reconcile(TODAY)
    assert outcome.deleted_case_ids == (aged.case("3").id,)


def test_checks_of_a_pruned_day_find_nothing(aged: Bench) -> None:
    prune(aged)
    engine, clinic = aged.engine, aged.clinic
    assert replan_inbound(engine, clinic, TODAY).is_empty
    now, policy = aged.clock(), EnrichmentPolicy()
    assert replan_enrichment(engine, clinic, TODAY, now=now, policy=policy).is_empty
    assert replan_reconciliation(engine, clinic, TODAY, policy=DeletionPolicy()).is_empty
    assert live_cases_deleted(engine, clinic, TODAY) == []


def test_a_record_seen_lately_stays_however_old_its_date(aged: Bench) -> None:
    aged.inbound(TODAY)
    assert prune(aged) == PruneResult(deleted=1, kept=0)
    assert landed(aged) == ["0", "2", "3", "4"]


def test_a_record_with_an_open_failure_stays(aged: Bench) -> None:
    aged.run(
        "INSERT INTO sync_failures (clinic_id, provider_type, phase, record_key, pims_id, "
        "error_class, error_message, first_failed_at, last_failed_at) SELECT id, provider_type, "
        "'cases', '3', '3', 'TransientError', '503', now(), now() FROM clinics"
    )
    prune(aged)
    assert landed(aged) == ["3"]


def test_the_day_that_is_just_old_enough_to_keep_stays(bench: Bench) -> None:
    bench.vendor.book("old", local(DAY - timedelta(days=1), 9))
    bench.vendor.book("kept", local(DAY, 9))
    bench.inbound()
    bench.clock.forward(days=DAYS, minutes=1)
    prune(bench)
    assert landed(bench) == ["kept"]


def test_batches_end_although_records_are_kept(
    aged: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    aged.run("UPDATE cases SET client_name = 'Sam' WHERE pims_id IN ('0', '2')")
    assert prune(aged) == PruneResult(deleted=3, kept=2)


def test_another_clinic_s_records_are_left_alone(aged: Bench) -> None:
    other = replace(aged.clinic, provider_type="another")
    result = prune_landed_records(aged.engine, other, days=DAYS, now=aged.clock())
    assert result == PruneResult(deleted=0, kept=0)
