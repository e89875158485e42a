"""Appointments that get another patient or client, and words that get another meaning."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.enrichment import FetchedConsultation, plan_consultations
from pims_pipeline.domain.records.appointments import Client, Patient, PimsAppointment, RecordKind
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.words import CaseStatus, CaseType, Meaning
from pims_pipeline_tests.domain.memory import MemoryStore, store_after
from pims_pipeline_tests.domain.planning.inbound.listings import (
    APPOINTMENT,
    EIGHT,
    MINUTE,
    kinds,
    kinds_of_cases,
    listing,
    retired,
)
from pims_pipeline_tests.domain.strategies import STATUSES

OF_REX = replace(
    APPOINTMENT,
    consultation_id="9",
    patient=Patient(id="100", name="Rex"),
    client=Client(id="1", name="Sam"),
)
OF_BELLA = replace(OF_REX, consultation_id=None, patient=Patient(id="200", name="Bella"))
REXES = PimsConsultation(
    appointment_id="a",
    consultation_id="9",
    notes="itchy",
    patient=Patient(id="100", name="Rex", species="Canine"),
)


def enriched(
    appointment: PimsAppointment = OF_REX, record: PimsConsultation = REXES
) -> MemoryStore:
    """A store with a case and the consultation of its appointment."""
    store = store_after([listing(appointment)])
    response = FetchedConsultation(
        case_id=store.identify("a"),
        asked_at=EIGHT + MINUTE,
        consultation=record,
        asked_for=appointment,
    )
    store.apply_consultations(plan_consultations(store.enrichable(), [response]))
    assert store.consultations
    return store


def has_nothing_of_rex(store: MemoryStore) -> bool:
    return (
        store.consultations == {}
        and store.cases["a"].patient_species is None
        and store.landed["a"].checked_at is None
    )


def test_another_patient_removes_the_consultation_and_its_event_keeps_it() -> None:
    store = enriched()
    content = dict(store.consultations[store.identify("a")])
    plan = store.receive(listing(OF_BELLA, at=5))
    (write,) = plan.case_writes
    assert write.changes["consultation"] == (content, None)
    assert write.changes["patient_species"] == ("Canine", None)
    assert write.changes["patient_name"] == ("Rex", "Bella")
    assert plan.recheck == ("a",)
    assert has_nothing_of_rex(store)
    assert store.plan(listing(OF_BELLA, at=5)).is_empty


@pytest.mark.parametrize(
    ("now", "stays"),
    [
        (replace(OF_REX, patient=Patient(id="100", name="Rexie")), True),
        (replace(OF_REX, client=Client(id="1", name="Samantha")), True),
        (replace(OF_REX, patient=Patient(id="101", name="Rex")), False),
        (replace(OF_REX, client=Client(id="2", name="Sam")), False),
        (replace(OF_REX, patient=Patient(name="Rex")), True),
        (replace(OF_REX, patient=Patient()), False),
        (replace(OF_REX, consultation_id="10"), True),
    ],
    ids=[
        "a patient's name corrected",
        "a client's name corrected",
        "a patient of the same name",
        "a client of the same name",
        "the id left out",
        "no patient any more",
        "another consultation",
    ],
)
def test_the_consultation_stays_on_the_case_of_its_patient(
    now: PimsAppointment, *, stays: bool
) -> None:
    store = enriched()
    plan = store.receive(listing(now, at=5))
    assert bool(store.consultations) is stays
    assert (plan.recheck == ()) is stays


def test_the_species_is_the_patient_s_under_any_client() -> None:
    store = enriched()
    store.receive(listing(replace(OF_REX, client=Client(id="2", name="Kim")), at=5))
    assert store.cases["a"].patient_species == "Canine"
    assert store.consultations == {}


def test_a_patient_without_an_id_is_identified_by_its_client_too() -> None:
    rex = Patient(name="Rex")
    store = enriched(replace(OF_REX, patient=rex), replace(REXES, patient=None))
    store.edit("a", patient_species="Canine")
    store.receive(listing(replace(OF_REX, patient=rex, client=Client(id="2")), at=5))
    assert has_nothing_of_rex(store)


def test_a_species_of_the_calendar_goes_with_its_patient() -> None:
    rex = replace(OF_REX, patient=Patient(id="100", name="Rex", species="Canine"))
    store = store_after([listing(rex), listing(OF_BELLA, at=5)])
    assert store.cases["a"].patient_species is None


def test_an_id_that_appears_beside_the_same_name_is_no_other_patient() -> None:
    store = enriched(replace(OF_REX, patient=Patient(name="Rex")), replace(REXES, patient=None))
    assert store.plan(listing(OF_REX, at=5)).recheck == ()


def test_another_patient_is_noticed_after_a_time_as_a_block() -> None:
    store = enriched(record=replace(REXES, patient=Patient(name="Rex", species="Canine")))
    block = replace(OF_REX, kind=RecordKind.BLOCK, patient=Patient(), client=Client())
    store.receive(listing(block, at=5))
    store.receive(listing(OF_BELLA, at=10))
    assert has_nothing_of_rex(store)


def test_the_same_patient_keeps_its_consultation_after_a_time_as_a_block() -> None:
    store = enriched()
    store.receive(listing(replace(OF_REX, kind=RecordKind.BLOCK, patient=Patient()), at=5))
    store.receive(listing(OF_REX, at=10))
    assert store.consultations


def test_a_retired_appointment_that_comes_back_for_another_patient() -> None:
    store = enriched()
    retired(store, "a", at=5)
    plan = store.receive(listing(OF_BELLA, at=10))
    assert kinds(plan) == [EventKind.RESTORED]
    assert has_nothing_of_rex(store)
    assert store.plan(listing(OF_BELLA, at=10)).is_empty


def mixed_up() -> MemoryStore:
    """A store in which Bella's case shows Rex's consultation, as if it had not been noticed."""
    store = store_after([listing(OF_BELLA)])
    rexes = enriched()
    store.consultations = dict(rexes.consultations)
    store.landed["a"] = replace(store.landed["a"], checked_at=EIGHT + MINUTE)
    store.edit("a", patient_species="Canine")
    return store


def test_a_case_found_with_another_s_consultation_is_put_right_once() -> None:
    store = mixed_up()
    plan = store.receive(listing(OF_BELLA, at=5))
    assert plan.landings == ()
    (write,) = plan.case_writes
    assert set(write.changes) == {"consultation", "patient_species"}
    assert has_nothing_of_rex(store)
    assert store.plan(listing(OF_BELLA, at=10)).is_empty


def test_the_repair_leaves_what_users_corrected() -> None:
    store = mixed_up()
    store.edit("a", patient_species="Lynx", patient_name="Bela", status=CaseStatus.REVIEWED)
    store.receive(listing(OF_BELLA, at=5))
    case = store.cases["a"]
    assert (case.patient_species, case.patient_name) == ("Lynx", "Bela")
    assert case.status is CaseStatus.REVIEWED


def test_damage_is_repaired_once_and_its_event_keeps_it() -> None:
    store = store_after([listing(APPOINTMENT)])
    damage: dict[str, Any] = {
        "metadata.appointment": "text",
        "metadata.consultation": [],
        "metadata.reconciliation": 7,
    }
    store.edit("a", facts={}, damage=damage, patient_name="Mischka", status=CaseStatus.REVIEWED)
    plan = store.receive(listing(APPOINTMENT, at=5))
    (write,) = plan.case_writes
    assert write.changes == {
        "metadata.appointment": ("text", {}),
        "metadata.consultation": ([], None),
        "metadata.reconciliation": (7, None),
        "appointment.status": (None, "not arrived"),
        "appointment.type": (None, "Exam"),
    }
    assert (write.drops_consultation, write.drops_reconciliation) == (True, True)
    assert plan.recheck == ("a",)
    case = store.cases["a"]
    assert (case.patient_name, case.status) == ("Mischka", CaseStatus.REVIEWED)
    assert store.plan(listing(APPOINTMENT, at=10)).is_empty


GONE_FISHING = replace(APPOINTMENT, status="gone fishing", appointment_type="Nail trim")


def learnt(store: MemoryStore) -> MemoryStore:
    store.words = store.words.adding(
        {"Gone Fishing": CaseStatus.ONGOING}, {"nail": CaseType.SURGERY}
    )
    return store


def test_a_word_that_is_given_a_meaning_reaches_the_cases_that_carry_it_once() -> None:
    store = learnt(store_after([listing(GONE_FISHING)]))
    plan = store.receive(listing(GONE_FISHING, at=5))
    assert plan.landings == ()
    assert kinds(plan) == [EventKind.STATUS_CHANGED]
    assert plan.case_writes[0].changes == {
        "status": ("draft", "ongoing"),
        "case_type": ("checkup", "surgery"),
    }
    assert plan.unknown_statuses == ()
    store.edit("a", status=CaseStatus.REVIEWED, case_type=CaseType.EMERGENCY)
    assert store.plan(listing(GONE_FISHING, at=10)).is_empty


def test_a_new_meaning_of_a_word_replaces_users_choice_as_a_vendor_s_change_does() -> None:
    store = store_after([listing(GONE_FISHING)])
    store.edit("a", status=CaseStatus.COMPLETED, patient_name="Mischka")
    learnt(store).receive(listing(GONE_FISHING, at=5))
    case = store.cases["a"]
    assert (case.status, case.patient_name) == (CaseStatus.ONGOING, "Mischka")


def test_an_equal_choice_made_by_a_user_before_causes_no_write_and_the_meaning_is_stored() -> None:
    store = store_after([listing(GONE_FISHING)])
    store.edit("a", status=CaseStatus.ONGOING, case_type=CaseType.SURGERY)
    plan = learnt(store).receive(listing(GONE_FISHING, at=5))
    assert plan.case_writes == ()
    assert plan.meanings == {"a": Meaning(CaseStatus.ONGOING, CaseType.SURGERY)}
    store.edit("a", status=CaseStatus.REVIEWED)
    assert store.plan(listing(GONE_FISHING, at=10)).is_empty


def test_records_landed_before_meanings_were_stored_are_not_all_written() -> None:
    store = store_after([listing(APPOINTMENT, replace(GONE_FISHING, appointment_id="b"))])
    store.landed = {pims_id: replace(row, meaning=None) for pims_id, row in store.landed.items()}
    store.edit("b", status=CaseStatus.REVIEWED)
    both = listing(APPOINTMENT, replace(GONE_FISHING, appointment_id="b"), at=5)
    assert store.plan(both).is_empty
    plan = learnt(store).receive(both)
    assert [write.pims_id for write in plan.case_writes] == ["b"]
    assert store.cases["b"].status is CaseStatus.ONGOING
    assert store.landed["a"].meaning is None
    assert store.plan(both).is_empty


def test_a_deleted_record_that_returns_leaves_users_choice_under_new_words() -> None:
    store = learnt(store_after([listing(GONE_FISHING)]))
    store.receive(listing(GONE_FISHING, at=5))
    store.edit("a", status=CaseStatus.REVIEWED)
    del store.landed["a"]
    store.receive(listing(GONE_FISHING, at=10))
    assert store.cases["a"].status is CaseStatus.REVIEWED


def test_what_words_meant_is_known_although_the_case_lost_them() -> None:
    store = store_after([listing(replace(APPOINTMENT, status="In Progress"))])
    store.edit("a", facts={}, damage={"metadata": None}, status=CaseStatus.REVIEWED)
    store.receive(listing(replace(APPOINTMENT, status="In Progress", room="2"), at=5))
    assert store.cases["a"].status is CaseStatus.REVIEWED
    assert store.cases["a"].facts["status"] == "In Progress"


def test_a_case_without_words_or_landed_record_keeps_its_status_until_the_words_change() -> None:
    store = store_after([listing(replace(APPOINTMENT, status="Paid"))])
    store.edit(
        "a",
        facts={},
        damage={"metadata.appointment": None},
        status=CaseStatus.REVIEWED,
        case_type=CaseType.SURGERY,
    )
    del store.landed["a"]
    store.receive(listing(replace(APPOINTMENT, status="Paid"), at=5))
    case = store.cases["a"]
    assert (case.status, case.case_type) == (CaseStatus.REVIEWED, CaseType.SURGERY)
    assert case.facts["status"] == "Paid"
    assert store.plan(listing(replace(APPOINTMENT, status="Paid"), at=6)).is_empty

    store.receive(listing(replace(APPOINTMENT, status="In Progress"), at=10))
    assert store.cases["a"].status is CaseStatus.ONGOING


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STATUSES),
            st.dictionaries(st.sampled_from(STATUSES), st.sampled_from(CaseStatus), max_size=3),
            st.none() | st.sampled_from(CaseStatus),
        ),
        max_size=6,
    )
)
def test_a_user_s_status_stays_exactly_while_the_word_means_the_same(
    steps: list[tuple[str, dict[str, CaseStatus], CaseStatus | None]],
) -> None:
    """A new word of the vendor and a new mapping count the same."""
    store = store_after([listing(APPOINTMENT)])
    meant, expected = CaseStatus.DRAFT, CaseStatus.DRAFT
    for at, (word, learnt_words, chosen) in enumerate(steps, start=1):
        if chosen is not None:
            store.edit("a", status=chosen)
            expected = chosen
        store.words = store.words.adding(learnt_words)
        store.receive(listing(replace(APPOINTMENT, status=word), at=at))
        means = store.words.status_of(word) or CaseStatus.DRAFT
        expected, meant = (expected if means is meant else means), means
        assert store.cases["a"].status is expected
        assert store.plan(listing(replace(APPOINTMENT, status=word), at=at)).is_empty
    assert kinds_of_cases(store) == {"a": CaseType.CHECKUP}
