"""What users change on a case stays until the vendor's meaning changes."""

from dataclasses import replace
from datetime import timedelta, timezone

from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline_tests.domain.memory import store_after
from pims_pipeline_tests.domain.planning.inbound.listings import (
    APPOINTMENT,
    kinds_of_cases,
    listing,
)


def test_a_status_set_by_a_user_stays_until_the_vendor_s_meaning_changes() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", status=CaseStatus.COMPLETED)
    same_meaning = replace(APPOINTMENT, status="Confirmed", room="2")
    plan = store.receive(listing(same_meaning, at=5))
    assert plan.case_writes[0].status is None
    case = store.cases["a"]
    assert (case.status, case.facts["status"]) == (CaseStatus.COMPLETED, "Confirmed")
    store.receive(listing(replace(same_meaning, status="In Progress"), at=10))
    assert store.cases["a"].status is CaseStatus.ONGOING


def test_one_unknown_status_after_another_leaves_the_user_s_choice() -> None:
    store = store_after([listing(replace(APPOINTMENT, status="gone fishing"))])
    store.edit("a", status=CaseStatus.REVIEWED)
    store.receive(listing(replace(APPOINTMENT, status="still fishing"), at=5))
    assert store.cases["a"].status is CaseStatus.REVIEWED


def test_a_type_set_by_a_user_stays_until_the_vendor_s_meaning_changes() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", case_type=CaseType.EMERGENCY)
    plan = store.receive(listing(replace(APPOINTMENT, appointment_type="Wellness"), at=5))
    assert plan.case_writes[0].case_type is None
    assert kinds_of_cases(store) == {"a": CaseType.EMERGENCY}
    store.receive(listing(replace(APPOINTMENT, appointment_type="Dental"), at=10))
    assert kinds_of_cases(store) == {"a": CaseType.SURGERY}


def test_a_user_s_correction_stays_while_the_listing_is_the_same() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", patient_name="Mischka")
    assert store.plan(listing(APPOINTMENT, at=5)).is_empty


def test_a_species_from_elsewhere_stays_when_the_calendar_has_none() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", patient_species="Feline")
    plan = store.receive(listing(replace(APPOINTMENT, room="2"), at=5))
    assert set(plan.case_writes[0].changes) == {"appointment.room"}
    assert store.cases["a"].patient_species == "Feline"


def test_times_read_in_another_zone_are_no_change() -> None:
    store = store_after([listing(APPOINTMENT)])
    elsewhere = timezone(timedelta(hours=-5))
    store.edit(
        "a",
        scheduled_start=APPOINTMENT.scheduled_start.astimezone(elsewhere),
        scheduled_end=APPOINTMENT.scheduled_end.astimezone(elsewhere),
    )
    assert store.plan(listing(replace(APPOINTMENT, notes="x"), at=5)).case_writes == ()
