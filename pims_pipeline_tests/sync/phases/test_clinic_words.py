"""A clinic's own words, from a change to the rows of cases that follow it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.domain.records.cases import draft_of
from pims_pipeline.domain.records.clinic_words import BadWord, WordChange, typed_meaning, typed_word
from pims_pipeline.domain.records.words import CaseStatus, CaseType, WordKind
from pims_pipeline.operations.words import change_words
from pims_pipeline.store.cases.clinic_words import lock_words, log_words, word_log
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.sync.phases.verification import replan_inbound, unknown_statuses
from pims_pipeline.sync.retention import prune_landed_records
from pims_pipeline.sync.words import words_of
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local

STATUS_WORDS = ("Waiting in car", "Confirmed", "RÉCEPTION", "Weighed")
TYPE_WORDS = ("Dental", "TPLO", "Zahn - Kontrolle", "Exam")


def status(text: str) -> WordChange:
    return typed_meaning(text, WordKind.STATUS)


def kind(text: str) -> WordChange:
    return typed_meaning(text, WordKind.TYPE)


def no_status(word: str) -> WordChange:
    return WordChange(WordKind.STATUS, typed_word(word), None)


def change(bench: Bench, *wanted: WordChange) -> None:
    change_words(bench.engine, bench.clinic.slug, wanted, changed_by="ann")


def followed(bench: Bench) -> dict[str, tuple[object, object]]:
    rows = bench.rows("SELECT pims_id, status, case_type FROM cases")
    return {str(row.pims_id): (row.status, row.case_type) for row in rows}


def meant(bench: Bench) -> dict[str, tuple[object, object]]:
    """What the cases would be if the clinic had always had its present words."""
    with transaction(bench.engine) as connection:
        words = words_of(connection, bench.clinic)
    drafts = {name: draft_of(each, words) for name, each in bench.vendor.appointments.items()}
    return {name: (each.status.value, each.case_type.value) for name, each in drafts.items()}


def is_settled(bench: Bench) -> bool:
    """Whether syncing again writes nothing, and the check agrees."""
    before = bench.everything()
    bench.inbound()
    return (
        bench.everything() == before and replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    )


def test_a_changed_meaning_reaches_unchanged_appointments_and_their_history(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Waiting in car", appointment_type="TPLO")
    bench.inbound()
    assert unknown_statuses(bench.engine, bench.clinic, WINDOW) == ["Waiting in car"]
    change(bench, status("waiting  IN_car = ongoing"), kind("tplo=surgery"))
    assert unknown_statuses(bench.engine, bench.clinic, WINDOW) == []
    assert bench.in_run("run-2").inbound().counts == Counts(found=1, updated=1)
    assert followed(bench) == {"1": ("ongoing", "surgery")}
    assert bench.events("1") == ["created", "status_changed"]
    (event,) = bench.rows(
        "SELECT e.run_id, e.source_digest = a.digest AS same, e.audit_id FROM case_events AS e "
        "JOIN pims_appointments AS a USING (clinic_id) WHERE e.kind = 'status_changed'"
    )
    assert (event.run_id, event.same, event.audit_id is None) == ("run-2", True, False)
    assert is_settled(bench)


def test_a_removed_word_means_again_what_it_means_elsewhere(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Arrived")
    change(bench, status("arrived=draft"))
    bench.inbound()
    assert followed(bench)["1"] == ("draft", "checkup")
    change(bench, no_status("ARRIVED"))
    bench.inbound()
    assert followed(bench)["1"] == ("ongoing", "checkup")
    assert is_settled(bench)


def test_people_s_edits_stay_unless_the_meaning_of_the_case_s_word_changes(bench: Bench) -> None:
    for pims_id, word in (("1", "Waiting in car"), ("2", "Confirmed")):
        bench.vendor.book(pims_id, local(DAY, 9), status=word)
    bench.inbound()
    bench.run("UPDATE cases SET status = 'completed', case_type = 'emergency'")
    change(bench, status("waiting in car=ongoing"))
    bench.inbound()
    assert followed(bench) == {"1": ("ongoing", "emergency"), "2": ("completed", "emergency")}
    bench.run("UPDATE cases SET status = 'reviewed'")
    change(bench, status("waiting in car=ongoing"))
    assert is_settled(bench)
    assert followed(bench)["1"] == ("reviewed", "emergency")


def test_consultations_alone_apply_new_words_to_dates_that_are_not_listed_again(
    bench: Bench,
) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Weighed")
    bench.inbound()
    change(bench, status("weighed=completed"))
    bench.enrich()
    assert followed(bench)["1"] == ("completed", "checkup")
    before = bench.everything()
    bench.enrich()
    assert bench.everything() == before


def test_a_type_that_the_vendor_states_wins_over_every_word(bench: Bench) -> None:
    booked = bench.vendor.book("1", local(DAY, 9), appointment_type="Exam")
    bench.inbound()
    bench.vendor.put(replace(booked, stated_type=CaseType.SURGERY))
    bench.inbound()
    change(bench, kind("exam=emergency"))
    bench.inbound()
    assert followed(bench)["1"] == ("draft", "surgery")
    assert is_settled(bench)


def test_a_change_between_a_sync_and_its_check_is_no_fault(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Weighed")
    bench.vendor.book("2", local(DAY, 10), status="Arrived")
    bench.inbound()
    # The bench's clock is far ahead of the database's, which dates the changes.
    bench.run("UPDATE case_sync_audits SET created_at = now()")
    change(bench, status("weighed=completed"))
    change(bench, status("weighed=reviewed"), status("arrived=completed"))
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    bench.run("UPDATE pims_appointments SET meant_status = 'ongoing' WHERE pims_id = '1'")
    plan = replan_inbound(bench.engine, bench.clinic, WINDOW)
    assert set(plan.meanings) == {"1"}


def test_a_sync_that_ignored_the_words_is_a_fault(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Weighed")
    bench.inbound()
    change(bench, status("weighed=completed"))
    # As if a later sync had not looked at the words.
    bench.run("UPDATE case_sync_audits SET created_at = now() + interval '1 hour'")
    plan = replan_inbound(bench.engine, bench.clinic, WINDOW)
    assert [each.pims_id for each in plan.case_writes] == ["1"]


def test_old_records_are_pruned_by_the_clinic_s_words(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Weighed", appointment_type="TPLO")
    change(bench, status("weighed=completed"), kind("tplo=surgery"))
    bench.inbound()
    bench.clock.forward(days=100)
    pruned = prune_landed_records(bench.engine, bench.clinic, days=30, now=bench.clock())
    assert (pruned.deleted, pruned.kept) == (1, 0)
    bench.run("UPDATE cases SET status = 'reviewed'")
    bench.inbound()
    assert followed(bench)["1"] == ("reviewed", "surgery")


def test_a_block_s_status_is_no_word(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="lunch", kind=RecordKind.BLOCK)
    bench.inbound()
    assert unknown_statuses(bench.engine, bench.clinic, WINDOW) == []


def test_what_is_so_already_is_not_logged_and_a_refusal_changes_nothing(bench: Bench) -> None:
    change(bench, status("weighed=completed"))
    change(bench, status("WEIGHED=completed"))
    for wanted in (
        [status("a=draft"), status("a=ongoing")],
        [status("a=draft"), no_status("b")],
        [status("weighed=draft"), no_status("weighed")],
    ):
        with pytest.raises(BadWord, match="nothing was changed"):
            change(bench, *wanted)
    with transaction(bench.engine) as connection:
        (logged,) = word_log(connection, bench.clinic)
    assert (logged.change, logged.changed_by) == (status("weighed=completed"), "ann")


def test_changes_wait_for_each_other_and_no_sync_waits_for_them(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Weighed")
    with transaction(bench.engine) as connection:
        lock_words(connection, bench.clinic)
        log_words(connection, bench.clinic, [status("weighed=completed")], "ann")
        with (
            pytest.raises(LockTimeout),
            transaction(bench.engine, lock_seconds=0.02) as another,
        ):
            lock_words(another, bench.clinic)
        bench.inbound()
        assert followed(bench)["1"] == ("draft", "checkup")
    bench.inbound()
    assert followed(bench)["1"] == ("completed", "checkup")


_SETTING = st.one_of(
    st.builds(
        WordChange,
        st.just(WordKind.STATUS),
        st.sampled_from(STATUS_WORDS).map(typed_word),
        st.sampled_from([None, *CaseStatus]),
    ),
    st.builds(
        WordChange,
        st.just(WordKind.TYPE),
        st.sampled_from(TYPE_WORDS).map(typed_word),
        st.sampled_from([None, *CaseType]),
    ),
)
_STEPS = st.lists(
    st.one_of(
        _SETTING,
        st.sampled_from(["inbound", "enrich", "reconcile"]),
        st.tuples(st.sampled_from("123"), st.sampled_from(STATUS_WORDS)),
    ),
    max_size=8,
)


def _do(bench: Bench, step: object) -> None:
    if isinstance(step, WordChange):
        try:
            change(bench, step)
        except BadWord:
            assert step.meaning is None
    elif isinstance(step, tuple):
        bench.vendor.set_status(*step)
    else:
        {"inbound": bench.inbound, "enrich": bench.enrich, "reconcile": bench.reconcile}[
            str(step)
        ]()


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
def test_cases_follow_the_last_words_whatever_was_set_before(
    bench: Bench, steps: Sequence[object]
) -> None:
    """The clinic's history goes on from one example to the next."""
    if not bench.vendor.appointments:
        for number, (word, name) in enumerate(zip(STATUS_WORDS, TYPE_WORDS, strict=True)):
            bench.vendor.book(
                str(number), local(DAY, 8 + number), status=word, appointment_type=name
            )
    for step in steps:
        _do(bench, step)
    bench.inbound()
    assert followed(bench) == meant(bench)
    assert is_settled(bench)
    assert bench.rows("SELECT 1 FROM case_events WHERE audit_id IS NULL OR run_id = ''") == []
