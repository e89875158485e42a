"""Whose consultation is due, when to try again, and what a fetched one changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.enrichment import (
    EnrichableCase,
    EnrichmentPolicy,
    FetchedConsultation,
    FetchFailure,
    FetchReason,
    due_reason,
    plan_consultations,
    plan_enrichment,
)
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.consultations import (
    PimsConsultation,
    Vital,
    Vitals,
    consultation_payload,
)
from pims_pipeline_tests.domain.memory import store_after
from pims_pipeline_tests.domain.strategies import appointments, consultations, moments, snapshots

START = datetime(2026, 3, 5, 15, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
POLICY = EnrichmentPolicy()
AGES = (1, 3, 7, 14, 30, 45)
CASE_ID = UUID(int=1)
APPOINTMENT = PimsAppointment(
    appointment_id="a",
    scheduled_start=START,
    scheduled_end=START + 30 * MINUTE,
    business_date=START.date(),
)
RECORD = PimsConsultation(appointment_id="a", consultation_id="9", notes="itchy")
LANDED = START - DAY


def case(**known: Any) -> EnrichableCase:
    return EnrichableCase(
        **{"case_id": CASE_ID, "appointment": APPOINTMENT, "landed_at": LANDED, **known}
    )


def enriched(record: PimsConsultation = RECORD, **known: Any) -> EnrichableCase:
    payload = consultation_payload(record)
    metadata = {**payload, "digest": digest(canonical_json(payload)), "fetchedAt": "then"}
    return case(**{"checked_at": START + MINUTE, "consultation": metadata, **known})


def answer(
    record: PimsConsultation | None = RECORD, at: datetime = START + 2 * MINUTE
) -> FetchedConsultation:
    return FetchedConsultation(
        case_id=CASE_ID, asked_at=at, consultation=record, asked_for=APPOINTMENT
    )


def why(known: EnrichableCase, now: datetime) -> FetchReason | None:
    return due_reason(known, now, POLICY)


# Whose record is due


def test_an_appointment_s_record_is_first_due_when_the_appointment_has_begun() -> None:
    assert why(case(), START - SECOND) is None
    assert why(case(), START) is FetchReason.MISSING


@pytest.mark.parametrize(
    ("landed", "reason"),
    [
        (START + MINUTE - SECOND, None),
        (START + MINUTE, None),
        (START + MINUTE + SECOND, FetchReason.APPOINTMENT_CHANGED),
    ],
)
def test_a_change_landed_after_the_last_question_makes_the_record_due(
    landed: datetime, reason: FetchReason | None
) -> None:
    assert why(enriched(landed_at=landed), START + 5 * MINUTE) is reason
    assert why(case(checked_at=START + MINUTE, landed_at=landed), START + 5 * MINUTE) is reason


def test_an_appointment_moved_into_the_future_waits_for_its_day() -> None:
    later = replace(APPOINTMENT, scheduled_start=START + DAY)
    assert why(enriched(appointment=later, landed_at=START + 2 * MINUTE), START + DAY / 2) is None


def test_an_appointment_without_a_record_is_asked_for_again_after_a_rest() -> None:
    asked = START + MINUTE
    absent = case(checked_at=asked)
    assert why(absent, asked + POLICY.ask_again_after - SECOND) is None
    assert why(absent, asked + POLICY.ask_again_after) is FetchReason.MISSING


@pytest.mark.parametrize("age", AGES)
def test_a_record_is_asked_for_again_at_each_age_and_only_once(age: int) -> None:
    due = START + timedelta(days=age)
    before = enriched(checked_at=due - SECOND)
    assert why(before, due - SECOND / 2) is None
    assert why(before, due) is FetchReason.LATE_EDIT
    assert why(enriched(checked_at=due), due + MINUTE) is None


def test_a_record_older_than_the_last_age_is_left_in_peace() -> None:
    assert POLICY.recheck_ages == tuple(timedelta(days=age) for age in AGES)
    assert why(enriched(checked_at=START + 45 * DAY), START + 400 * DAY) is None
    assert why(enriched(checked_at=START + 31 * DAY), START + 400 * DAY) is FetchReason.LATE_EDIT


@given(st.integers(0, 60 * 24), st.integers(0, 60 * 24))
def test_a_late_edit_is_due_exactly_when_an_age_was_reached_since(
    checked: int, waited: int
) -> None:
    checked_at = START + timedelta(hours=checked)
    now = checked_at + timedelta(hours=waited)
    reached = [age for age in AGES if checked < 24 * age <= checked + waited]
    wanted = FetchReason.LATE_EDIT if reached else None
    assert why(enriched(checked_at=checked_at), now) is wanted


FAILED_AT = START + 10 * MINUTE
RETRY_AT = START + 15 * MINUTE
WAITING = FetchFailure(attempts=1, last_failed_at=FAILED_AT, next_retry_at=RETRY_AT)
DEAD = FetchFailure(attempts=8, last_failed_at=FAILED_AT, next_retry_at=None)


def test_a_failed_fetch_waits_for_its_retry() -> None:
    assert why(case(failure=WAITING), RETRY_AT - SECOND) is None
    assert why(case(failure=WAITING), RETRY_AT) is FetchReason.MISSING


def test_a_dead_fetch_waits_for_a_person() -> None:
    assert why(case(failure=DEAD), START + 400 * DAY) is None
    assert why(enriched(failure=DEAD), START + 400 * DAY) is None


@pytest.mark.parametrize("failure", [WAITING, DEAD])
def test_a_change_at_the_vendor_ends_the_wait(failure: FetchFailure) -> None:
    now = FAILED_AT + 2 * SECOND
    assert why(case(failure=failure, landed_at=FAILED_AT), now) is None
    assert why(case(failure=failure, landed_at=FAILED_AT + SECOND), now) is FetchReason.MISSING


def test_a_failed_late_edit_is_retried_as_one() -> None:
    due = START + DAY
    failure = FetchFailure(attempts=1, last_failed_at=due, next_retry_at=due + MINUTE)
    assert why(enriched(failure=failure), due + MINUTE) is FetchReason.LATE_EDIT


def test_the_earliest_appointment_comes_first() -> None:
    known = [
        case(
            case_id=UUID(int=n),
            appointment=replace(APPOINTMENT, scheduled_start=START - n % 2 * DAY),
        )
        for n in (4, 2, 1, 3)
    ]
    future = case(
        case_id=UUID(int=9), appointment=replace(APPOINTMENT, scheduled_start=START + DAY)
    )
    plan = plan_enrichment([*known, future], START, POLICY)
    assert [each.case_id.int for each, _ in plan.due] == [1, 3, 2, 4]
    assert not plan.is_empty
    assert plan_enrichment([future], START, POLICY).is_empty


# When to try again


@given(moments, st.floats(0, 1))
def test_the_wait_for_a_retry_doubles_and_is_bounded(now: datetime, jitter: float) -> None:
    retries = [POLICY.retry_at(attempts, now, jitter) for attempts in range(1, 8)]
    waits = [retry - now for retry in retries if retry is not None]
    assert len(waits) == 7
    for attempt, wait in enumerate(waits):
        least = POLICY.first_retry_after * 2**attempt
        assert least <= wait <= least * 1.5
    assert waits == sorted(waits)
    # Not even the greatest jitter lets an attempt come before the next one's earliest.
    assert POLICY.first_retry_after * 1.5 < POLICY.first_retry_after * 2


def test_jitter_spreads_over_half_the_wait() -> None:
    assert POLICY.retry_at(1, START, 0.0) == START + 5 * MINUTE
    assert POLICY.retry_at(1, START, 1.0) == START + 7.5 * MINUTE
    assert POLICY.retry_at(7, START, 0.0) == START + 320 * MINUTE


@given(st.integers(8, 10_000), moments, st.floats(0, 1))
def test_after_the_last_attempt_there_is_no_other(
    attempts: int, now: datetime, jitter: float
) -> None:
    assert POLICY.retry_at(attempts, now, jitter) is None


# What an answer changes


def test_a_first_record_is_written_whole() -> None:
    plan = plan_consultations({CASE_ID: case()}, [answer()])
    (write,) = plan.writes
    assert write.metadata["notes"] == "itchy"
    assert write.metadata["digest"] == write.digest
    assert write.metadata["fetchedAt"] == (START + 2 * MINUTE).isoformat()
    assert write.changes["consultation.notes"] == (None, "itchy")
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}
    assert (plan.unchanged, plan.absent, plan.implausible) == (frozenset(),) * 3


def test_a_corrected_note_is_the_only_change_named() -> None:
    (write,) = plan_consultations(
        {CASE_ID: enriched()}, [answer(replace(RECORD, notes="scratchy"))]
    ).writes
    assert write.changes == {"consultation.notes": ("itchy", "scratchy")}


def test_a_record_that_says_the_same_writes_nothing() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [answer()])
    assert plan.writes == ()
    assert plan.unchanged == {CASE_ID}
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}


@pytest.mark.parametrize(
    ("late", "dropped"), [(-SECOND, True), (0 * SECOND, False), (SECOND, False)]
)
def test_an_older_answer_never_overwrites_a_newer_one(late: timedelta, *, dropped: bool) -> None:
    known = enriched()
    assert known.checked_at is not None
    record = replace(RECORD, notes="scratchy")
    plan = plan_consultations({CASE_ID: known}, [answer(record, at=known.checked_at + late)])
    assert (plan.writes == ()) is dropped
    assert (plan.checked == {}) is dropped
    assert plan.unchanged == (frozenset({CASE_ID}) if dropped else frozenset())


def test_an_older_absence_is_dropped_too() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [answer(None, at=START)])
    assert (plan.checked, plan.absent) == ({}, frozenset())


def test_a_record_that_vanished_at_the_vendor_is_kept() -> None:
    plan = plan_consultations({CASE_ID: enriched()}, [answer(None)])
    assert plan.writes == ()
    assert plan.absent == {CASE_ID}
    assert plan.checked == {CASE_ID: START + 2 * MINUTE}


def test_an_answer_for_a_case_that_is_gone_changes_nothing() -> None:
    plan = plan_consultations({}, [answer()])
    assert (plan.writes, plan.checked) == ((), {})
    assert plan.unchanged == {CASE_ID}


def test_an_answer_for_a_case_that_is_gone_hides_none_after_it() -> None:
    gone = replace(answer(), case_id=UUID(int=99))
    plan = plan_consultations({CASE_ID: case()}, [gone, answer()])
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


def test_a_case_without_a_record_hides_none_after_it() -> None:
    without = replace(case(), case_id=UUID(int=99))
    plan = plan_consultations(
        {CASE_ID: case(), without.case_id: without},
        [replace(answer(None), case_id=without.case_id), answer()],
    )
    assert plan.absent == {without.case_id}
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


# Whose record it is

BELLA = Patient(id="200", name="Bella")
REX = Patient(id="100", name="Rex", species="Canine")


def test_a_record_of_another_patient_is_refused_whole() -> None:
    of_rex = replace(RECORD, patient=REX, vitals=Vitals(temperature_c=Vital(20.0, "20")))
    known = case(appointment=replace(APPOINTMENT, patient=BELLA))
    asked = replace(answer(of_rex), asked_for=known.appointment)
    plan = plan_consultations({CASE_ID: known}, [asked])
    assert plan.refused == {CASE_ID}
    assert (plan.writes, plan.checked, plan.implausible) == ((), {}, frozenset())


def test_a_refused_record_hides_none_after_it_and_leaves_the_one_that_stands() -> None:
    bellas = enriched(
        replace(RECORD, patient=BELLA), appointment=replace(APPOINTMENT, patient=BELLA)
    )
    other = case(case_id=UUID(int=2))
    plan = plan_consultations(
        {CASE_ID: bellas, other.case_id: other},
        [
            replace(answer(replace(RECORD, patient=REX)), asked_for=bellas.appointment),
            replace(answer(), case_id=other.case_id),
        ],
    )
    assert plan.refused == {CASE_ID}
    assert [write.case.case_id for write in plan.writes] == [other.case_id]


@pytest.mark.parametrize(
    ("asked_for", "now"),
    [
        (replace(APPOINTMENT, patient=REX), replace(APPOINTMENT, patient=BELLA)),
        (replace(APPOINTMENT, client=Client(id="1")), replace(APPOINTMENT, client=Client(id="2"))),
        (replace(APPOINTMENT, consultation_id="8"), replace(APPOINTMENT, consultation_id="9")),
        (replace(APPOINTMENT, consultation_id="8"), replace(APPOINTMENT, consultation_id=None)),
    ],
    ids=["another patient", "another client", "another consultation", "none any more"],
)
@pytest.mark.parametrize("record", [RECORD, None])
def test_an_answer_about_what_the_appointment_was_before_is_asked_for_again(
    asked_for: PimsAppointment, now: PimsAppointment, record: PimsConsultation | None
) -> None:
    """The appointment changed while the vendor was asked, and its listing is older."""
    asked = replace(answer(record), asked_for=asked_for)
    plan = plan_consultations({CASE_ID: case(appointment=now)}, [asked])
    assert (plan.writes, plan.checked) == ((), {})
    assert plan.unchanged == {CASE_ID}


def test_an_answer_about_the_same_appointment_at_another_time_counts() -> None:
    moved = replace(APPOINTMENT, scheduled_start=START - DAY, status="Finalized")
    plan = plan_consultations({CASE_ID: case(appointment=moved)}, [answer()])
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


def test_what_cannot_be_read_on_the_case_makes_way_and_is_kept_in_the_story() -> None:
    damage = {"metadata.consultation": ["x"], "metadata.reconciliation": 5}
    (write,) = plan_consultations({CASE_ID: case(damage=damage)}, [answer()]).writes
    assert write.changes["metadata.consultation"] == (["x"], None)
    assert "metadata.reconciliation" not in write.changes


FELINE = replace(RECORD, patient=Patient(name="Mishka", species="Feline"))


def test_the_species_is_filled_in_from_the_record() -> None:
    (write,) = plan_consultations({CASE_ID: case()}, [answer(FELINE)]).writes
    assert write.patient_species == "Feline"
    assert write.changes["patient_species"] == (None, "Feline")


def test_a_lost_species_is_filled_in_even_when_the_record_is_the_same() -> None:
    (write,) = plan_consultations({CASE_ID: enriched(FELINE)}, [answer(FELINE)]).writes
    assert write.changes == {"patient_species": (None, "Feline")}


def test_a_species_corrected_by_people_stands_while_the_record_says_the_same() -> None:
    known = enriched(FELINE, patient_species="Lynx")
    assert plan_consultations({CASE_ID: known}, [answer(FELINE)]).writes == ()


@pytest.mark.parametrize("patient", [None, Patient(name="Mishka"), Patient(species="")])
def test_a_record_without_a_species_leaves_the_one_that_stands(patient: Patient | None) -> None:
    record = replace(RECORD, notes="scratchy", patient=patient)
    known = enriched(patient_species="Feline")
    (write,) = plan_consultations({CASE_ID: known}, [answer(record)]).writes
    assert write.patient_species is None
    assert "patient_species" not in write.changes


def test_cases_with_implausible_vitals_are_named_written_or_not() -> None:
    record = replace(RECORD, vitals=Vitals(temperature_c=Vital(20.0, "20")))
    assert plan_consultations({CASE_ID: case()}, [answer(record)]).implausible == {CASE_ID}
    assert plan_consultations({CASE_ID: enriched(record)}, [answer(record)]).implausible == {
        CASE_ID
    }
    fine = replace(RECORD, vitals=Vitals(temperature_c=Vital(38.5, "38.5")))
    assert plan_consultations({CASE_ID: case()}, [answer(fine)]).implausible == frozenset()


@given(snapshots(max_quarantined=0), st.data())
def test_planning_after_applying_is_empty(snapshot: Snapshot, data: st.DataObject) -> None:
    store = store_after([snapshot])
    now = snapshot.fetched_at + 400 * DAY
    due = plan_enrichment(store.enrichable().values(), now, POLICY).due
    appointments = [a for a in snapshot.appointments if a.kind is RecordKind.APPOINTMENT]
    assert {each.case_id for each, _ in due} == {
        store.identify(a.appointment_id) for a in appointments if a.scheduled_start <= now
    }
    fetched = [
        FetchedConsultation(
            case_id=each.case_id,
            asked_at=now,
            consultation=data.draw(st.none() | consultations()),
            asked_for=each.appointment,
        )
        for each, _ in due
    ]
    plan = plan_consultations(store.enrichable(), fetched)
    assert set(plan.checked) == {each.case_id for each in fetched} - plan.refused
    fates = [{w.case.case_id for w in plan.writes}, plan.unchanged, plan.absent, plan.refused]
    assert sum(len(fate) for fate in fates) == len(fetched)
    store.apply_consultations(plan)
    again = plan_consultations(store.enrichable(), fetched)
    assert again.writes == ()
    # What was refused waits for its retry, as whatever could not be fetched does.
    due = plan_enrichment(store.enrichable().values(), now, POLICY).due
    assert {each.case_id for each, _ in due} == plan.refused


@given(appointments(), st.lists(st.tuples(st.integers(0, 9), consultations()), max_size=4))
def test_in_any_order_the_newest_answer_stands(
    appointment: PimsAppointment, answers: list[tuple[int, PimsConsultation]]
) -> None:
    known = case(appointment=appointment)
    records = [(minute, replace(record, patient=appointment.patient)) for minute, record in answers]
    for minute, record in records:
        asked = replace(answer(record, at=START + minute * MINUTE), asked_for=appointment)
        plan = plan_consultations({CASE_ID: known}, [asked])
        known = replace(known, checked_at=plan.checked.get(CASE_ID, known.checked_at))
        for write in plan.writes:
            known = replace(known, consultation=write.metadata)
    if answers:
        latest = max(minute for minute, _ in answers)
        winner = [record for minute, record in records if minute == latest][-1]
        assert known.consultation is not None
        assert known.consultation["digest"] == digest(canonical_json(consultation_payload(winner)))
