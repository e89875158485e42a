"""Whose a status or a consultation is: the service's or ours, or that of people."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline_tests.adoption.live.live_clinic import LiveClinic, live_clinic
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation


def pay_there(live: LiveClinic, planted: PlantedClinic, status: str) -> None:
    """Appointment 2 is paid, and the v4.0 service sees it; people may have set the status."""
    live.vendor.set_status("2", "Paid")
    live.theirs.run(
        'UPDATE cases SET status = CAST(%s AS "CaseStatus"), '
        "metadata = jsonb_set(metadata, '{pimsAppointment,status}', '\"Paid\"') WHERE id = %s",
        status,
        planted.shifted,
    )


@pytest.mark.parametrize(("between", "then"), [("completed", "draft"), ("ongoing", "ongoing")])
def test_after_going_back_and_forth_a_status_of_the_service_follows_and_one_of_people_stays(
    live: LiveClinic, planted: PlantedClinic, between: str, then: str
) -> None:
    live.day()
    live.set_mode(AdoptionMode.SHADOW)
    pay_there(live, planted, between)
    live.sync()

    live.set_mode(AdoptionMode.LIVE)
    live.day()
    live.vendor.set_status("2", "Confirmed")
    live.day()

    assert live.row(planted.shifted)["status"] == then
    assert live.to_write() == []


@pytest.mark.parametrize("name", [None, "", " REX "])
def test_a_patient_without_a_name_there_keeps_the_consultation(
    engine: Engine,
    deployed: V4Installation,
    planted: PlantedClinic,
    wanted: AdoptionRequest,
    name: str | None,
) -> None:
    live = live_clinic(engine, deployed, wanted)
    live.sync()
    assert live.bench is not None
    ours = live.bench.case("7").patient_name
    stored = name if name is None or not name.strip() else f" {ours.upper()} "
    deployed.run("UPDATE patients SET name = %s WHERE case_id = %s", stored, planted.broken)

    live.write()

    assert "pimsConsultation" in live.row(planted.broken)["metadata"]
    deployed_name = deployed.run("SELECT name FROM patients WHERE case_id = %s", planted.broken)
    assert deployed_name == [(ours,)]


def test_of_duplicates_the_one_that_people_kept_is_written(
    live: LiveClinic, planted: PlantedClinic
) -> None:
    live.day()
    linked, other = planted.duplicates
    live.theirs.run("DELETE FROM cases WHERE id = %s", linked)
    live.vendor.set_status("5", "Paid")

    report = live.day()

    assert (report.linked, report.left_out) == (1, {})
    assert live.row(other)["status"] == "completed"
    assert live.to_write() == []
    live.vendor.set_status("5", "Confirmed")
    assert live.day().linked == 0
    assert live.row(other)["status"] == "draft"
