"""Which phases are due, one decision at a time."""

from dataclasses import replace

import pytest

from pims_pipeline.domain.phases import Phase
from pims_pipeline.scheduling.cron import BadCron, parse_cron
from pims_pipeline.scheduling.timetable import DueTicks, decide, malformed_crons
from pims_pipeline_tests.scheduling.clinics import at, due, schedule


def test_no_past_tick_is_due_at_the_first_decision() -> None:
    decision = decide([schedule(inbound="* * * * *")], None, at("05T10:00:30"))
    assert decision == DueTicks([], [], at("05T10:00:30"))


def test_a_tick_since_the_last_decision_is_due_once() -> None:
    clinics = [schedule(inbound="*/15 * * * *", cases="0 10 * * *", reconciliation="0 2 * * *")]
    decision = decide(clinics, at("05T09:59:40"), at("05T10:00:10"))
    assert due(decision) == [
        ("alder", "inbound", at("05T10:00")),
        ("alder", "cases", at("05T10:00")),
    ]
    assert due(decide(clinics, decision.until, at("05T10:00:40"))) == []


def test_a_tick_is_due_at_its_own_time_and_never_again() -> None:
    clinics = [schedule(inbound="0 10 * * *")]
    assert due(decide(clinics, at("05T09:00"), at("05T10:00"))) == [
        ("alder", "inbound", at("05T10:00"))
    ]
    assert due(decide(clinics, at("05T10:00"), at("05T10:00"))) == []


def test_of_many_missed_ticks_the_latest_is_due() -> None:
    decision = decide([schedule(inbound="*/15 * * * *")], at("05T02:00"), at("05T10:20"))
    assert due(decision) == [("alder", "inbound", at("05T10:15"))]


def test_a_tick_as_old_as_its_interval_is_dropped() -> None:
    clinics = [schedule(inbound="0,5 9 * * *")]
    assert due(decide(clinics, at("05T08:00"), at("05T09:09:59"))) == [
        ("alder", "inbound", at("05T09:05"))
    ]
    assert due(decide(clinics, at("05T08:00"), at("05T09:10"))) == []


def test_editing_a_schedule_makes_no_past_tick_due() -> None:
    edited = schedule(inbound="0 * * * *", changed_at=at("05T10:20"))
    assert due(decide([edited], at("05T09:30"), at("05T10:20:30"))) == []
    assert due(decide([edited], at("05T10:20:30"), at("05T11:00:10"))) == [
        ("alder", "inbound", at("05T11:00"))
    ]


def test_no_tick_before_a_clinic_was_registered_is_due() -> None:
    new = schedule(inbound="0 * * * *", since=at("05T10:20"))
    assert due(decide([new], at("05T09:30"), at("05T10:20:30"))) == []


def test_a_skipped_tick_is_not_due_again() -> None:
    skipped = replace(schedule(inbound="0 * * * *"), skipped_until={Phase.INBOUND: at("05T10:00")})
    assert due(decide([skipped], at("05T09:59"), at("05T10:00:30"))) == []
    assert due(decide([skipped], at("05T09:59"), at("05T11:00:30"))) == [
        ("alder", "inbound", at("05T11:00"))
    ]


def test_a_skip_recorded_in_the_future_blocks_no_tick() -> None:
    skipped = replace(schedule(inbound="0 * * * *"), skipped_until={Phase.INBOUND: at("09T10:00")})
    assert due(decide([skipped], at("05T09:59"), at("05T10:00:30"))) != []


def test_a_malformed_schedule_is_reported_and_blocks_no_other_phase_or_clinic() -> None:
    clinics = [
        schedule("alder", inbound="often", cases="0 10 * * *"),
        schedule("birch", zone="Mars/Olympus", cases="0 10 * * *"),
        schedule("cedar", inbound="0 10 * * *"),
    ]
    with pytest.raises(BadCron) as caught:
        parse_cron("often")
    why = str(caught.value)
    decision = decide(clinics, at("05T09:59"), at("05T10:00"))
    assert due(decision) == [
        ("cedar", "inbound", at("05T10:00")),
        ("alder", "cases", at("05T10:00")),
    ]
    assert decision.malformed == malformed_crons(clinics)
    assert [(each.clinic.slug, each.phase, each.why) for each in decision.malformed] == [
        ("alder", Phase.INBOUND, why),
        (
            "birch",
            Phase.CASES,
            "unknown time zone 'Mars/Olympus'; use an IANA name such as America/New_York",
        ),
    ]


def test_nothing_is_due_until_a_clock_put_back_a_little_has_caught_up() -> None:
    clinics = [schedule(inbound="* * * * *")]
    decision = decide(clinics, at("05T10:00:30"), at("05T09:30"))
    assert decision == DueTicks([], [], at("05T10:00:30"))


def test_a_clock_put_back_far_starts_over() -> None:
    clinics = [schedule(inbound="* * * * *")]
    decision = decide(clinics, at("05T10:00:30"), at("05T08:00"))
    assert decision == DueTicks([], [], at("05T08:00"), started_over=True)
    assert due(decide(clinics, decision.until, at("05T08:01"))) == [
        ("alder", "inbound", at("05T08:01"))
    ]
