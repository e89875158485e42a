"""Phase 2 from consultations to cases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    TimeLimitReached,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.sync.phases.verification import replan_enrichment
from pims_pipeline_tests.providers.fake import FakeProviderWithBatches
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local

BROKEN = TransientError("asked for a consultation; got 500; try later")


def _appointments(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.vendor.book(str(number), local(DAY, 8, number))
        bench.vendor.record_appointment(str(number), notes=f"S: appointment {number}\nP: rest")
    bench.inbound()


def test_a_finished_appointment_gets_its_consultation_and_species(bench: Bench) -> None:
    _appointments(bench, 1)
    outcome = bench.enrich()
    case = bench.case("0")
    assert case.metadata["consultation"]["notes"] == "S: appointment 0\nP: rest"
    assert case.metadata["appointment"]["status"] == "Finalized"
    assert case.patient_species == "Canine"
    assert outcome.by_date[DAY] == Counts(found=1, enriched=1)
    assert bench.events("0") == ["created", "enriched"]


def test_a_second_enrichment_requests_nothing_and_writes_nothing(bench: Bench) -> None:
    _appointments(bench, 3)
    bench.enrich()
    before, requested = bench.everything(), bench.vendor.consultation_fetches
    outcome = bench.enrich()
    assert bench.everything() == before
    assert bench.vendor.consultation_fetches == requested
    assert outcome.counts == Counts()
    plan = replan_enrichment(
        bench.engine,
        bench.clinic,
        WINDOW,
        now=bench.clock(),
        policy=bench.context.enrichment_policy,
    )
    assert plan.is_empty


def test_no_consultation_is_requested_before_the_appointment_begins(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY + timedelta(days=1), 9), consultation_id="k-1")
    bench.inbound()
    assert bench.enrich().counts == Counts()
    assert bench.vendor.consultation_fetches == 0


def test_a_missing_consultation_is_requested_again_later(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), consultation_id="k-1")
    bench.inbound()
    assert bench.enrich().counts == Counts(found=1, skipped=1)
    assert bench.enrich().counts == Counts()
    bench.vendor.record_appointment("1")
    bench.clock.forward(minutes=31)
    assert bench.enrich().counts == Counts(found=1, enriched=1)


def test_a_change_of_the_appointment_fetches_the_consultation_again(bench: Bench) -> None:
    _appointments(bench, 1)
    bench.enrich()
    bench.vendor.record_appointment("0", notes="S: corrected\nP: rest")
    bench.vendor.set_status("0", "Paid")
    bench.inbound()
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    (event,) = bench.rows(
        "SELECT * FROM case_events WHERE kind = 'enriched' ORDER BY seq DESC LIMIT 1"
    )
    assert event.changes["consultation.notes"] == [
        "S: appointment 0\nP: rest",
        "S: corrected\nP: rest",
    ]


def test_a_late_correction_is_found_at_the_next_age_and_once(bench: Bench) -> None:
    _appointments(bench, 1)
    bench.enrich()
    bench.vendor.record_appointment("0", notes="corrected")
    bench.clock.forward(days=1)
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    assert bench.enrich().counts == Counts()
    bench.clock.forward(days=2)
    before = bench.case("0")
    assert bench.enrich().counts == Counts(found=1, unchanged=1)
    assert bench.case("0") == before


def test_one_failure_is_recorded_and_stops_no_other_case(bench: Bench) -> None:
    _appointments(bench, 4)
    bench.vendor.broken_consultations["k-2"] = BROKEN
    outcome = bench.enrich()
    assert outcome.counts == Counts(found=4, enriched=3, errored=1)
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert (failure.pims_id, failure.error_class, failure.attempts) == ("2", "TransientError", 1)
    assert failure.next_retry_at > bench.clock.moment
    assert bench.enrich().counts == Counts()
    bench.clock.forward(minutes=10)
    del bench.vendor.broken_consultations["k-2"]
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert failure.resolved_at is not None


def with_batches(bench: Bench) -> Bench:
    """The bench, with a vendor that takes batches."""
    return replace(
        bench,
        context=replace(
            bench.context, open_provider=lambda _: FakeProviderWithBatches(bench.vendor)
        ),
    )


def test_consultations_are_fetched_together_with_the_same_result(bench: Bench) -> None:
    bench = with_batches(bench)
    _appointments(bench, 6)
    del bench.vendor.consultations["k-4"]
    outcome = bench.enrich()
    assert outcome.counts == Counts(found=6, enriched=5, skipped=1)
    assert [sorted(each) for each in bench.vendor.batches] == [["0", "1", "2", "3", "4", "5"]]
    assert bench.vendor.consultation_fetches == 1
    assert bench.enrich().counts == Counts()


def test_what_a_batch_leaves_out_is_fetched_by_itself(bench: Bench) -> None:
    bench = with_batches(bench)
    _appointments(bench, 4)
    bench.vendor.unsettled = {"2", "3"}
    bench.vendor.broken_consultations["k-2"] = BROKEN
    assert bench.enrich().counts == Counts(found=4, enriched=3, errored=1)
    assert bench.vendor.consultation_fetches == 3
    (failure,) = bench.rows("SELECT record_key FROM sync_failures")
    assert failure.record_key == "2"


def test_when_a_batch_fails_each_is_fetched_by_itself(bench: Bench) -> None:
    bench = with_batches(bench)
    _appointments(bench, 4)
    bench.vendor.fail_next(BROKEN, "consultation")
    assert bench.enrich().counts == Counts(found=4, enriched=4)
    assert bench.vendor.consultation_fetches == 5


def test_a_consultation_under_the_identity_of_another_is_fetched_again(bench: Bench) -> None:
    class Mixing(FakeProviderWithBatches):
        def fetch_consultations(
            self, appointments: Sequence[PimsAppointment]
        ) -> Mapping[str, PimsConsultation | None]:
            found = super().fetch_consultations(appointments)
            return dict(zip(found, reversed(list(found.values())), strict=True))

    bench.context = replace(bench.context, open_provider=lambda _: Mixing(bench.vendor))
    _appointments(bench, 2)
    assert bench.enrich().counts == Counts(found=2, enriched=2)
    for number in ("0", "1"):
        consultation = bench.case(number).metadata["consultation"]
        assert consultation["notes"] == f"S: appointment {number}\nP: rest"


def test_a_session_that_expires_during_a_batch_is_renewed_once(bench: Bench) -> None:
    bench = with_batches(bench)
    _appointments(bench, 3)
    bench.vendor.expire_sessions()
    assert bench.enrich().counts == Counts(found=3, enriched=3)
    assert len(bench.vendor.batches) == 2


def test_no_success_when_every_one_of_three_fetches_fails(bench: Bench) -> None:
    _appointments(bench, 3)
    bench.vendor.fail_next(BROKEN, "consultation", times=3)
    with pytest.raises(TransientError):
        bench.enrich()
    failures = bench.rows("SELECT record_key FROM sync_failures ORDER BY record_key")
    assert [row.record_key for row in failures] == ["0", "1", "2"]
    (audit,) = bench.rows("SELECT status FROM case_sync_audits WHERE sync_type = 'cases'")
    assert audit.status == "failed"
    bench.clock.forward(minutes=10)
    assert bench.enrich().counts == Counts(found=3, enriched=3)


def test_refused_credentials_end_the_phase_and_cost_no_case_an_attempt(bench: Bench) -> None:
    _appointments(bench, 3)
    bench.vendor.fail_next(AuthenticationRejected("refused"), "consultation")
    with pytest.raises(AuthenticationRejected):
        bench.enrich(workers=1)
    assert bench.rows("SELECT * FROM sync_failures") == []


def test_a_consultation_survives_the_applications_own_metadata(bench: Bench) -> None:
    _appointments(bench, 1)
    bench.run('UPDATE cases SET metadata = metadata || \'{"billing": {"total": 3}}\'')
    bench.enrich()
    assert bench.case("0").metadata["billing"] == {"total": 3}


def test_progress_is_recorded(bench: Bench) -> None:
    _appointments(bench, 5)
    bench.enrich()
    (audit,) = bench.rows("SELECT * FROM case_sync_audits WHERE sync_type = 'cases'")
    assert (audit.items_done, audit.items_total) == (5, 5)


def test_what_was_fetched_before_the_time_limit_is_written_and_the_rest_is_due_later(
    bench: Bench,
) -> None:
    _appointments(bench, 4)
    now, requests = 0.0, 0
    stop = StopSignal(seconds=10, explanation="too slow", clock=lambda: now)

    def slow_from_the_third_on(endpoint: str) -> None:
        nonlocal requests, now
        requests += endpoint == "consultation"
        if requests > 2:
            now = 11.0
            stop.wait(60)

    bench.vendor.on_request = slow_from_the_third_on
    slow = replace(bench, context=replace(bench.context, stop=stop))
    with pytest.raises(TimeLimitReached, match="too slow"):
        slow.enrich(workers=1)

    assert [bench.events(str(number))[1:] for number in range(4)].count(["enriched"]) == 2
    assert bench.rows("SELECT * FROM sync_failures") == []
    (audit,) = bench.rows("SELECT * FROM case_sync_audits WHERE sync_type = 'cases'")
    assert (audit.status, audit.error_class, audit.error_message) == (
        "failed",
        "TimeLimitReached",
        "TimeLimitReached: too slow",
    )

    bench.vendor.on_request = None
    assert bench.enrich().counts == Counts(found=2, enriched=2)
    assert bench.vendor.consultation_fetches == 4
