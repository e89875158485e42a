"""What a comparison finds in a real database, in either layout."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.kinds import DifferenceKind
from pims_pipeline_tests.adoption.comparing.compared_clinic import (
    compared,
    kinds,
    planted_kinds,
    synced_here,
    synced_there,
)
from pims_pipeline_tests.adoption.planted import (
    PlantedClinic,
    V4Installation,
    consultation,
    plant_clinic,
    words,
)
from pims_pipeline_tests.sync.bench import DAY, NOW, Bench


@pytest.fixture
def planted(theirs: V4Installation) -> PlantedClinic:
    planted = plant_clinic(theirs, DAY)
    synced_there(theirs)
    return planted


@pytest.fixture
def bench(engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest) -> Bench:
    return synced_here(engine, wanted, planted)


def test_a_day_after_the_first_sync_the_faults_of_v4_differ_and_nothing_else(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, bench: Bench
) -> None:
    before = theirs.checksum()

    found = compared(engine)

    assert kinds(found) == planted_kinds(theirs)
    assert found.counts.compared == len(planted.linked)
    assert found.counts.differences == (2 if theirs.is_deployed else 1)
    assert found.counts.is_synced_here
    assert [each.hours for each in found.differences if each.hours] == (
        [2.0] if theirs.is_deployed else []
    )
    assert theirs.checksum() == before
    assert bench.case("3").gone is None


@pytest.mark.usefixtures("bench")
def test_every_kind_of_change_there_is_found(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic
) -> None:
    column, later = "scheduled_date", "3"
    if theirs.is_deployed:
        column, later = "scheduled_at", "interval '3 days'"
    moved = f"UPDATE cases SET {column} = {column} + {later} WHERE id = %s"  # noqa: S608 - fixed
    theirs.run(moved, planted.plain)
    paid = json.dumps({"pimsAppointment": words("Paid")})
    theirs.run(
        "UPDATE cases SET status = 'completed', metadata = %s::jsonb WHERE id = %s",
        paid,
        planted.duplicates[0],
    )
    theirs.run("UPDATE cases SET status = 'draft' WHERE id = %s", planted.replaced)
    theirs.run(
        "UPDATE cases SET metadata = metadata - 'pimsConsultation' WHERE id = %s", planted.older
    )
    theirs.run(
        "UPDATE cases SET metadata = metadata || jsonb_build_object('pimsConsultation', "
        "%s::jsonb) WHERE id = %s",
        json.dumps(consultation("7")),
        planted.broken,
    )
    theirs.case(planted.id, theirs.external_id("90"), NOW)

    found = kinds(compared(engine))

    assert found == planted_kinds(theirs) | {
        ("1", DifferenceKind.DATE),
        ("4", DifferenceKind.STATUS_BY_PEOPLE),
        ("5", DifferenceKind.STATUS),
        ("6", DifferenceKind.CONSULTATION_MISSING_THERE),
        ("7", DifferenceKind.CONSULTATION_MISSING_HERE),
        ("90", DifferenceKind.EXTRA_THERE),
    }


@pytest.mark.usefixtures("bench")
def test_a_case_moved_out_of_the_window_there_is_compared_by_its_appointment(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic
) -> None:
    far = NOW + timedelta(days=300)
    stamp = "scheduled_at" if theirs.is_deployed else "scheduled_date"
    theirs.run(f"UPDATE cases SET {stamp} = %s WHERE id = %s", far, planted.plain)  # noqa: S608 - fixed
    here = compared(engine, DAY, DAY)
    there = compared(engine, far.date(), far.date())
    for found in (here, there):
        assert ("1", DifferenceKind.DATE) in kinds(found)
    assert there.counts.compared == 1
