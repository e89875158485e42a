"""The simulator's rooms and providers: ids that stay, names that change, rooms it does not list."""

from datetime import datetime

import pytest

from pims_pipeline.simulator.control_client import ControlRefused, SimulatorControl
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    id_of,
    logged_in,
    records_of,
)

COMPANY = "1001"
START = datetime(2026, 3, 12, 11)  # noqa: DTZ001 - a wall clock has no zone


def test_each_room_and_provider_has_one_id_in_listing_lookup_and_dictionary(
    base_url: str,
) -> None:
    with logged_in(base_url) as client:
        dictionary = client.get("/appointments/getAppointmentView").json()
        records = records_of(ask_listing(client, TODAY))
        rooms = {each["name"]: int(each["id"]) for each in dictionary["appointmentRooms"]}
        providers = {each["name"]: each["id"] for each in dictionary["providers"]}
        assert {each["id"] for each in dictionary["resources"]} == set(providers.values())
        for record in records:
            room, provider = record["appointment_room_name"], record["provider"]
            shown = record["appointment_room_id"]
            assert (None if shown is None else int(shown)) == rooms.get(room)
            assert record["resourceId"] == providers.get(provider, 0)
            asked = client.get("/appointments/getAppointment", params={"id": id_of(record)})
            found = asked.json()["appointment"]
            assert (found["appointmentRoom"] or {}).get("id") == rooms.get(room)
            assert (found["provider"] or {}).get("id") == providers.get(provider)
    shapes = {type(record["appointment_room_id"]) for record in records}
    assert shapes == {int, str, type(None)}


def test_an_appointment_changes_its_room_and_a_room_its_name(
    base_url: str, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, START, room="Room 1")
    assert booked.room == "Room 1"

    def listed() -> tuple[int | None, str | None]:
        with logged_in(base_url) as client:
            records = records_of(ask_listing(client, START.date()))
        (record,) = (each for each in records if id_of(each) == booked.id)
        shown = record["appointment_room_id"]
        return None if shown is None else int(shown), record["appointment_room_name"]

    assert listed() == (11, "Room 1")
    control.move_to_room(COMPANY, booked.id, "Surgery")
    assert listed() == (13, "Surgery")
    control.rename_room(COMPANY, 13, "Theatre")
    assert listed() == (13, "Theatre")
    control.move_to_room(COMPANY, booked.id, "Annexe")
    unlisted, name = listed()
    assert (name, unlisted not in range(11, 15)) == ("Annexe", True)
    control.move_to_room(COMPANY, booked.id, None)
    assert listed() == (None, None)
    with pytest.raises(ControlRefused, match="no room has the id 99"):
        control.rename_room(COMPANY, 99, "x")
    control.reset()
    with logged_in(base_url) as client:
        dictionary = client.get("/appointments/getAppointmentView").json()
    assert [each["name"] for each in dictionary["appointmentRooms"]][2] == "Surgery"


def test_the_dictionary_needs_a_login_and_has_faults_of_its_own(
    base_url: str, control: SimulatorControl
) -> None:
    with logged_in(base_url) as client:
        control.add_fault("server_error", endpoint="dictionary")
        assert client.get("/appointments/getAppointmentView").status_code == 500
        assert ask_listing(client, TODAY).status_code == 200
        assert control.stats().requests["dictionary"] == 1
        client.cookies.clear()
        assert client.get("/appointments/getAppointmentView").status_code == 302
