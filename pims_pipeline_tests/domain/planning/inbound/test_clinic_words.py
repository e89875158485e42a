"""Words that change between listings, and the cases that follow the last ones."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.inbound import common_to_both
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus, CaseType, Words
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.inbound.listings import EIGHT, MINUTE
from pims_pipeline_tests.domain.strategies import STATUSES, TYPES, snapshots

CLINIC_WORDS = st.builds(
    DEFAULT_WORDS.adding,
    st.dictionaries(st.sampled_from(STATUSES), st.sampled_from(CaseStatus), max_size=4),
    st.dictionaries(
        st.sampled_from([each for each in TYPES if each]), st.sampled_from(CaseType), max_size=4
    ),
)
STEPS = st.lists(st.tuples(CLINIC_WORDS, snapshots(max_quarantined=0)), min_size=1, max_size=4)


def in_order(steps: Sequence[tuple[Words, Snapshot]]) -> list[tuple[Words, Snapshot]]:
    return [
        (words, replace(each, fetched_at=EIGHT + number * MINUTE))
        for number, (words, each) in enumerate(steps)
    ]


def after(steps: Sequence[tuple[Words, Snapshot]]) -> MemoryStore:
    store = MemoryStore()
    for words, snapshot in steps:
        store.words = words
        store.receive(snapshot)
    return store


@given(STEPS)
def test_the_last_words_decide_as_if_the_clinic_had_always_had_them(
    steps: list[tuple[Words, Snapshot]],
) -> None:
    steps = in_order(steps)
    words, last = steps[-1]
    changing = after(steps)
    constant = after([(words, each) for _, each in steps])
    # A case whose record became a block follows nothing.
    listed = {each.appointment_id for each in last.appointments if each.makes_case}
    for pims_id in listed:
        assert changing.cases[pims_id] == constant.cases[pims_id]
    assert changing.plan(last).is_empty


@given(STEPS, CLINIC_WORDS)
def test_a_person_s_edit_stays_unless_the_meaning_of_the_case_s_words_changes(
    steps: list[tuple[Words, Snapshot]], words: Words
) -> None:
    steps = in_order(steps)
    store, last = after(steps), steps[-1][1]
    for pims_id, case_before in store.cases.items():
        store.cases[pims_id] = replace(
            case_before, status=CaseStatus.REVIEWED, case_type=CaseType.EMERGENCY
        )
    before = {name: row.meaning for name, row in store.landed.items()}
    store.words = words
    store.receive(last)
    for each in last.appointments:
        if not each.makes_case:
            continue
        case = store.cases[each.appointment_id]
        then, now = before[each.appointment_id], store.landed[each.appointment_id].meaning
        assert then is not None
        assert now is not None
        kept_status = now.status is then.status
        kept_type = now.case_type is then.case_type
        assert case.status is (CaseStatus.REVIEWED if kept_status else now.status)
        assert case.case_type is (CaseType.EMERGENCY if kept_type else now.case_type)


@given(STEPS, CLINIC_WORDS)
def test_a_plan_by_words_that_were_just_replaced_has_nothing_in_common_with_theirs(
    steps: list[tuple[Words, Snapshot]], newer: Words
) -> None:
    steps = in_order(steps)
    store, last = after(steps), steps[-1][1]
    applied = store.plan(last)
    store.words = newer
    assert common_to_both(store.plan(last), applied).is_empty
