"""A day of syncs in shadow: ours comes right, and not one byte of theirs changes."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline_tests.adoption.planted import (
    LOGIN,
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.adoption.ways import adopted
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.sync.bench import DAY, Bench, local
from pims_pipeline_tests.sync.faults.two_days import full_sync


@pytest.fixture
def planted(theirs: V4Installation) -> PlantedClinic:
    return plant_clinic(theirs, DAY)


def book_day(vendor: FakeVendor) -> None:
    """The planted appointments as the vendor has them; number 4 is paid by now."""
    for number in range(1, 8):
        vendor.book(str(number), local(DAY, 8 + number))
    vendor.set_status("4", "Paid")
    vendor.set_status("6", "Paid")


def synced(engine: Engine, wanted: AdoptionRequest, runs: int = 1) -> Bench:
    """Adopt the clinic and sync all phases, that many times, with the imported login."""
    clinic = adopted(engine, wanted).clinic
    vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
    book_day(vendor)
    for run in range(1, runs):
        full_sync(engine, clinic, vendor, run)
        vendor.move("1", local(DAY, 16 + run))
        vendor.delete(str(run + 1))
    return full_sync(engine, clinic, vendor, runs)


def test_a_day_of_syncs_changes_no_byte_of_theirs(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    before = theirs.checksum()

    bench = synced(engine, wanted, runs=3)

    assert theirs.checksum() == before
    assert bench.case("2").gone == "true"
    assert bench.case("1").id == planted.plain


def test_a_shifted_time_comes_right_with_the_first_sync(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    bench = synced(engine, wanted)

    case = bench.case("2")
    assert case.id == planted.shifted
    assert case.scheduled_start == local_to_utc(local(DAY, 10), bench.clinic.zone)
    assert bench.events("2") == ["adopted", "rescheduled"]


def test_a_case_that_was_retired_wrongly_is_restored_by_the_first_sync(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    bench = synced(engine, wanted)

    case = bench.case("3")
    assert (case.id, case.gone, case.status) == (planted.retired, None, "draft")
    assert bench.events("3") == ["adopted", "restored"]


def test_a_case_that_was_retired_rightly_stays_so(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    clinic = adopted(engine, wanted).clinic
    vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
    book_day(vendor)
    vendor.delete("3")

    bench = full_sync(engine, clinic, vendor, 1)

    assert bench.case("3").gone == "true"
    assert bench.events("3") == ["adopted"]
    assert planted.retired == bench.case("3").id


def test_what_people_set_stays_although_the_vendors_words_were_lost(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    bench = synced(engine, wanted)

    case = bench.case("4")
    assert (case.id, case.status, case.case_type) == (planted.replaced, "reviewed", "surgery")
    assert case.metadata["note"] == "by hand"
    assert case.metadata["appointment"]["status"] == "Paid"


def test_a_status_that_people_set_stays_until_the_vendors_word_means_something_else(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    clinic = adopted(engine, wanted).clinic
    vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
    book_day(vendor)
    bench = full_sync(engine, clinic, vendor, 1)
    assert (bench.case("1").id, bench.case("1").status) == (planted.plain, "ongoing")

    vendor.set_status("1", "Paid")
    bench = full_sync(engine, clinic, vendor, 2)

    assert bench.case("1").status == "completed"
    assert bench.case("1").metadata["starred"] is True
