"""Appointments that are rebooked for another patient, from the vendor to the case."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import Client, Patient, RecordKind
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus
from pims_pipeline.providers.port import PatientMismatch
from pims_pipeline.sync.phases.verification import mixed_up_cases, replan_inbound
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local

BELLA = Patient(id="200", name="Bella")


def _of_rex(bench: Bench, pims_id: str = "1") -> None:
    """An appointment with a consultation that is on its case."""
    bench.vendor.book(pims_id, local(DAY, 9))
    bench.vendor.record_appointment(pims_id, notes="S: itchy\nP: rest")
    bench.inbound()
    bench.enrich()
    assert bench.case(pims_id).metadata["consultation"]["notes"]


def _rebook(bench: Bench, consultation_id: str | None, patient: Patient = BELLA) -> None:
    known = bench.vendor.appointments["1"]
    bench.vendor.put(replace(known, patient=patient, consultation_id=consultation_id))


def _consultation_of_bella(bench: Bench) -> None:
    rexes = bench.vendor.consultations["k-1"]
    bench.vendor.consultations["k-2"] = replace(
        rexes, consultation_id="k-2", notes="sneezes", patient=replace(BELLA, species="Feline")
    )


def test_a_case_rebooked_for_another_patient_shows_nothing_of_the_first(bench: Bench) -> None:
    _of_rex(bench)
    before = bench.case("1").metadata["consultation"]
    _rebook(bench, None)
    bench.inbound()
    case = bench.case("1")
    assert (case.patient_name, case.patient_species) == ("Bella", None)
    assert "consultation" not in case.metadata
    (event,) = bench.rows("SELECT changes FROM case_events ORDER BY seq DESC LIMIT 1")
    assert event.changes["consultation"] == [before, None]
    assert event.changes["patient_species"] == ["Canine", None]
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    # At once, although the first patient's was requested just before.
    assert bench.enrich().counts == Counts(found=1, skipped=1)


def test_the_new_patient_s_consultation_is_requested_at_once(bench: Bench) -> None:
    _of_rex(bench)
    _consultation_of_bella(bench)
    _rebook(bench, "k-2")
    bench.inbound()
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    case = bench.case("1")
    assert case.metadata["consultation"]["notes"] == "sneezes"
    assert case.patient_species == "Feline"
    assert bench.events("1") == ["created", "enriched", "updated", "enriched"]


def test_the_first_patient_s_consultation_is_never_put_on_the_second_s_case(bench: Bench) -> None:
    _of_rex(bench)
    _rebook(bench, "k-1")
    bench.inbound()
    assert bench.enrich().counts == Counts(found=1, errored=1)
    case = bench.case("1")
    assert ("consultation" in case.metadata, case.patient_species) == (False, None)
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert (failure.pims_id, failure.error_class) == ("1", "PatientMismatch")
    for word in ("Bella", "Patient", "200", "p-1"):
        assert word not in failure.error_message
    assert failure.next_retry_at > bench.clock.moment
    assert bench.enrich().counts == Counts()
    bench.clock.forward(minutes=10)
    _consultation_of_bella(bench)
    bench.vendor.consultations["k-1"] = replace(
        bench.vendor.consultations["k-2"], consultation_id="k-1"
    )
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert failure.resolved_at is not None


def test_no_success_when_every_consultation_is_another_patient_s(bench: Bench) -> None:
    for number in range(3):
        bench.vendor.book(str(number), local(DAY, 9, number))
        bench.vendor.record_appointment(str(number))
        bench.vendor.consultations[f"k-{number}"] = replace(
            bench.vendor.consultations[f"k-{number}"], patient=BELLA
        )
    bench.inbound()
    with pytest.raises(PatientMismatch):
        bench.enrich()
    failures = bench.rows("SELECT record_key FROM sync_failures ORDER BY record_key")
    assert [row.record_key for row in failures] == ["0", "1", "2"]


def test_a_change_of_client_requests_the_consultation_again(bench: Bench) -> None:
    _of_rex(bench)
    known = bench.vendor.appointments["1"]
    bench.vendor.put(replace(known, client=Client(id="other", name="Kim")))
    bench.inbound()
    assert "consultation" not in bench.case("1").metadata
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    assert bench.case("1").metadata["consultation"]["notes"]


@pytest.mark.parametrize("named", [True, False])
def test_a_response_that_comes_after_the_rebooking_is_not_written_to_the_case(
    bench: Bench, *, named: bool
) -> None:
    """Whether or not the consultation names its patient."""
    _of_rex(bench)
    if not named:
        bench.vendor.consultations["k-1"] = replace(bench.vendor.consultations["k-1"], patient=None)
    bench.vendor.set_status("1", "Paid")
    bench.inbound()
    rebooked: list[str] = []

    def rebook_once(endpoint: str) -> None:
        if endpoint == "consultation" and not rebooked:
            rebooked.append(endpoint)
            _rebook(bench, None)
            bench.inbound()

    bench.vendor.on_request = rebook_once
    assert bench.enrich().counts == Counts(found=1, unchanged=1)
    assert rebooked
    assert "consultation" not in bench.case("1").metadata
    (landed,) = bench.rows("SELECT consultation_checked_at FROM pims_appointments")
    assert landed.consultation_checked_at is None


def test_cases_mixed_up_before_are_found_and_fixed_once(bench: Bench) -> None:
    _of_rex(bench)
    _rebook(bench, None)
    content = bench.case("1").metadata["consultation"]
    bench.inbound()
    # As an earlier release left it: only the calendar's own fields had changed.
    bench.run(
        "UPDATE cases SET patient_species = 'Canine', metadata = "
        "metadata || jsonb_build_object('consultation', CAST(:content AS jsonb), 'mine', 1)",
        content=json.dumps(content),
    )
    assert mixed_up_cases(bench.engine, bench.clinic, WINDOW) == [(DAY, bench.case("1").id)]
    assert not replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    assert bench.inbound().counts == Counts(found=1, updated=1)
    case = bench.case("1")
    assert (case.patient_species, case.metadata["mine"]) == (None, 1)
    assert "consultation" not in case.metadata
    assert mixed_up_cases(bench.engine, bench.clinic, WINDOW) == []
    (event,) = bench.rows("SELECT changes FROM case_events ORDER BY seq DESC LIMIT 1")
    assert event.changes == {"consultation": [content, None], "patient_species": ["Canine", None]}
    before = bench.everything()
    assert bench.inbound().counts == Counts(found=1, unchanged=1)
    assert bench.everything() == before


def test_a_case_of_a_date_that_is_not_listed_any_more_catches_up_with_its_landed_record(
    bench: Bench,
) -> None:
    """The scheduled syncs list today and later, and fetch consultations of the past."""
    _of_rex(bench)
    content = bench.case("1").metadata["consultation"]
    _rebook(bench, None)
    bench.vendor.set_status("1", "Waiting in car")
    for pims_id in "23":
        bench.vendor.book(pims_id, local(DAY, 10), status="Waiting in car")
    bench.inbound()
    bench.run(
        "UPDATE cases SET patient_species = 'Canine', metadata = "
        "metadata || jsonb_build_object('consultation', CAST(:content AS jsonb)) "
        "WHERE pims_id = '1'",
        content=json.dumps(content),
    )
    bench.run("UPDATE cases SET metadata = '\"x\"' WHERE pims_id = '2'")
    bench.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{reconciliation}', "
        "'{\"softDeleted\": true}') WHERE pims_id = '3'"
    )
    learnt = DEFAULT_WORDS.adding({"Waiting in car": CaseStatus.ONGOING})
    bench.context = replace(bench.context, vendor_words=lambda _: learnt)
    bench.clock.forward(hours=1)
    outcome = bench.enrich()
    assert {*outcome.changed_case_ids} == {bench.case(each).id for each in "12"}
    first, second, retired = map(bench.case, "123")
    assert (first.patient_species, first.status, second.status) == (None, "ongoing", "ongoing")
    assert "consultation" not in first.metadata
    assert second.metadata["appointment"]["status"] == "Waiting in car"
    # Only a fresh listing shows whether that appointment is back.
    assert (retired.status, retired.gone) == ("draft", "true")
    assert mixed_up_cases(bench.engine, bench.clinic, WINDOW) == []
    (event,) = bench.rows(
        "SELECT changes FROM case_events WHERE case_id = :case ORDER BY seq DESC LIMIT 1",
        case=first.id,
    )
    assert event.changes["consultation"] == [content, None]
    before = bench.everything()
    bench.enrich()
    assert bench.everything() == before
    bench.inbound()
    assert (bench.case("3").status, bench.case("3").gone) == ("ongoing", None)


def test_a_retired_case_that_comes_back_for_another_patient(bench: Bench) -> None:
    _of_rex(bench)
    rexes = bench.vendor.delete("1")
    bench.vendor.book("2", local(DAY, 11))
    bench.inbound()
    bench.reconcile()
    assert bench.case("1").gone == "true"
    bench.vendor.put(replace(rexes, patient=BELLA, consultation_id=None))
    bench.inbound()
    case = bench.case("1")
    assert (case.gone, case.patient_species) == (None, None)
    assert "consultation" not in case.metadata


def test_a_slot_that_was_a_block_in_between(bench: Bench) -> None:
    _of_rex(bench)
    rexes = bench.vendor.appointments["1"]
    bench.vendor.put(replace(rexes, kind=RecordKind.BLOCK, patient=Patient(), client=Client()))
    bench.inbound()
    bench.vendor.put(replace(rexes, patient=BELLA, consultation_id=None))
    bench.inbound()
    assert "consultation" not in bench.case("1").metadata
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty


def test_an_appointment_moved_to_another_day_is_checked_too(bench: Bench) -> None:
    """A lookup is applied like a listing, and fixes the same."""
    _of_rex(bench)
    bench.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,patient,id}', '\"x\"')"
    )
    bench.vendor.book("2", local(DAY, 11))
    bench.vendor.move("1", local(WINDOW.end + timedelta(days=2), 9))
    bench.in_run("run-2").reconcile()
    assert "consultation" not in bench.case("1").metadata


def test_a_new_meaning_of_a_vendor_s_word_reaches_its_cases(bench: Bench) -> None:
    for pims_id in "12":
        bench.vendor.book(pims_id, local(DAY, 9), status="Waiting in car")
    bench.inbound()
    bench.run("UPDATE pims_appointments SET meant_status = NULL, meant_type = NULL")
    before = bench.everything()
    bench.inbound()
    assert bench.everything() == before
    learnt = DEFAULT_WORDS.adding({"Waiting in car": CaseStatus.ONGOING})
    bench.context = replace(bench.context, vendor_words=lambda _: learnt)
    assert bench.inbound().counts == Counts(found=2, updated=2)
    assert {bench.case(pims_id).status for pims_id in "12"} == {"ongoing"}
    assert bench.events("1") == ["created", "status_changed"]
    bench.run("UPDATE cases SET status = 'reviewed' WHERE pims_id = '1'")
    before = bench.everything()
    assert bench.inbound().counts == Counts(found=2, unchanged=2)
    assert bench.everything() == before
    assert replan_inbound(bench.engine, bench.clinic, WINDOW, vendor=lambda _: learnt).is_empty
