"""Edits through the control interface show in the listing, the lookup and the consultation."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

import httpx2
import pytest

from pims_pipeline.simulator.control_client import (
    ControlRefused,
    SimulatorControl,
    TrueAppointment,
)
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    id_of,
    logged_in,
    records_of,
)

COMPANY = "1001"
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def client(base_url: str) -> Iterator[httpx2.Client]:
    with logged_in(base_url) as visiting:
        yield visiting


@pytest.fixture
def booked(control: SimulatorControl) -> TrueAppointment:
    return control.book(
        COMPANY, at("2026-03-12 11:00"), patient_name="Ζωή <b>", client_name="Ann O'Hara"
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def listed(client: httpx2.Client, day: date, appointment_id: str) -> dict[str, object] | None:
    records = records_of(ask_listing(client, day))
    return next((record for record in records if id_of(record) == appointment_id), None)


def looked_up(client: httpx2.Client, appointment_id: str) -> dict[str, object]:
    found = client.get("/appointments/getAppointment", params={"id": appointment_id})
    body: dict[str, object] = found.json()["appointment"]
    return body


def test_the_truth_is_what_the_listing_says(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    truth = control.appointments(COMPANY, TODAY, TODAY + timedelta(days=6))

    records = records_of(ask_listing(client, TODAY, TODAY + timedelta(days=6)))

    assert [(id_of(r), r["start"], r["current_status"]) for r in records] == [
        (e.id, f"{e.start:%Y-%m-%d %H:%M:%S}", e.status) for e in truth
    ]


def test_a_listing_of_a_month_is_whole_and_the_same_every_time(client: httpx2.Client) -> None:
    first, last = date(2026, 3, 1), date(2026, 3, 31)

    whole = ask_listing(client, first, last)

    assert ask_listing(client, first, last).content == whole.content
    by_day = [r for n in range(31) for r in records_of(ask_listing(client, first + timedelta(n)))]
    assert records_of(whole) == by_day


@pytest.mark.parametrize("params", [
    {}, {"start": "2026-03-11 00:00:00"}, {"start": "2026-03-11", "end": "2026-03-12"},
    {"start": "2026-03-11T00:00:00", "end": "2026-03-12T00:00:00"},
    {"start": "2026-03-12 00:00:00", "end": "2026-03-11 00:00:00"},
    {"start": "2026-02-30 00:00:00", "end": "2026-03-11 00:00:00"},
    {"start": "2020-01-01 00:00:00", "end": "2026-03-11 00:00:00"},
])  # fmt: skip
def test_a_listing_without_two_proper_times_is_refused(
    client: httpx2.Client, params: dict[str, str]
) -> None:
    response = client.get("/appointments/getCalendarEventData", params=params)

    assert response.status_code == 400


@pytest.mark.parametrize("shape", ["array", "appointments", "data", "events"])
def test_the_listing_comes_in_every_shape(
    client: httpx2.Client, control: SimulatorControl, shape: str
) -> None:
    control.settings(company_id=COMPANY, listing_shape=shape)  # type: ignore[arg-type]  # a literal

    body = ask_listing(client, TODAY).json()

    assert isinstance(body if shape == "array" else body[shape], list)


def test_flags_and_ids_come_in_every_type(client: httpx2.Client) -> None:
    records = records_of(ask_listing(client, date(2026, 3, 1), date(2026, 3, 31)))

    assert {repr(r["is_block"]) for r in records} >= {"True", "1", "'1'", "False", "0", "'0'"}
    assert {type(r["id"]) for r in records} == {int, str}
    assert {type(r["consultation_id"]) for r in records} == {int, str, type(None)}
    assert {"is_roster", "recurring", "is_unmatched"} <= set(records[0])


def test_a_booking_appears_everywhere(client: httpx2.Client, booked: TrueAppointment) -> None:
    record = listed(client, TOMORROW, booked.id)

    assert record is not None
    assert (record["patient_name"], record["current_status"]) == ("Ζωή <b>", "not arrived")
    assert (record["first_name"], record["last_name"]) == ("Ann", "O'Hara")
    assert looked_up(client, booked.id)["startAtLocal"] == "2026-03-12 11:00:00"


def test_a_moved_booking_leaves_its_day_and_keeps_its_length(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.move(COMPANY, booked.id, at("2026-03-15 09:15"))

    assert listed(client, TOMORROW, booked.id) is None
    record = listed(client, date(2026, 3, 15), booked.id)
    assert record is not None
    assert (record["start"], record["end"]) == ("2026-03-15 09:15:00", "2026-03-15 09:45:00")


def test_a_cancelled_booking_stays_listed_and_can_come_back(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.cancel(COMPANY, booked.id)

    record = listed(client, TOMORROW, booked.id)
    assert record is not None
    assert record["current_status"] == "Cancelled"
    assert looked_up(client, booked.id)["cancelledReason"]
    assert control.restore(COMPANY, booked.id).status == "not arrived"


def test_a_deleted_booking_leaves_the_listing_and_can_come_back(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.delete(COMPANY, booked.id)

    assert listed(client, TOMORROW, booked.id) is None
    assert looked_up(client, booked.id)["deleted"] is True
    truth = {e.id: e for e in control.appointments(COMPANY, TOMORROW, TOMORROW)}
    assert truth[booked.id].deleted
    control.restore(COMPANY, booked.id)
    assert listed(client, TOMORROW, booked.id) is not None


def test_a_lookup_of_a_deleted_booking_has_each_response_shape(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.delete(COMPANY, booked.id)
    asked = {"id": booked.id}

    control.settings(deleted_lookup="not_found")
    assert client.get("/appointments/getAppointment", params=asked).status_code == 404
    control.settings(deleted_lookup="null")
    response = client.get("/appointments/getAppointment", params=asked)
    assert response.json() == {"appointment": None}
    control.settings(deleted_lookup="gone")
    assert client.get("/appointments/getAppointment", params=asked).status_code == 410


def test_finishing_an_appointment_opens_its_consultation(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    assert booked.consultation_id is None

    finished = control.finish(COMPANY, booked.id, "<p><b>S:</b> well</p>")

    assert (finished.status, finished.notes) == ("Finalized", "<p><b>S:</b> well</p>")
    assert is_later(finished, booked)
    page = client.get(f"/consultations/{finished.consultation_id}/page-data").json()
    assert page["consultationNotes"]["notes"] == "<p><b>S:</b> well</p>"
    assert page["patient"]["species"] == "Canine"


def test_an_appointment_finished_without_notes_gets_made_up_ones(
    control: SimulatorControl, booked: TrueAppointment
) -> None:
    notes = control.finish(COMPANY, booked.id).notes

    assert notes
    assert control.finish(COMPANY, booked.id).notes == notes


def test_corrected_notes_make_the_record_newer(
    control: SimulatorControl, booked: TrueAppointment
) -> None:
    finished = control.finish(COMPANY, booked.id)

    corrected = control.write_notes(COMPANY, booked.id, "<p>late &amp; right</p>")

    assert corrected.notes == "<p>late &amp; right</p>"
    assert is_later(corrected, finished)


def is_later(after: TrueAppointment, before: TrueAppointment) -> bool:
    assert after.last_updated_at
    assert before.last_updated_at
    return after.last_updated_at > before.last_updated_at


def test_notes_of_an_appointment_that_was_never_opened_are_refused(
    control: SimulatorControl, booked: TrueAppointment
) -> None:
    with pytest.raises(ControlRefused, match="no consultation") as refused:
        control.write_notes(COMPANY, booked.id, "<p>too early</p>")

    assert refused.value.status == 400


def test_a_block_cannot_be_finished(control: SimulatorControl) -> None:
    block = next(e for e in control.appointments(COMPANY, TODAY, TODAY) if e.kind == "block")

    with pytest.raises(ControlRefused, match="is a block"):
        control.finish(COMPANY, block.id)


def test_a_patient_is_renamed_and_a_status_is_any_words(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.rename_patient(COMPANY, booked.id, "小花 🌸")
    control.set_status(COMPANY, booked.id, "Gone Fishing")

    record = listed(client, TOMORROW, booked.id)
    assert record is not None
    assert (record["patient_name"], record["current_status"]) == ("小花 🌸", "Gone Fishing")


@pytest.mark.parametrize("consultation", ["none", "same", "new"])
def test_a_record_is_rebooked_for_another_patient_with_any_consultation(
    client: httpx2.Client,
    control: SimulatorControl,
    booked: TrueAppointment,
    consultation: Literal["none", "same", "new"],
) -> None:
    before = control.finish(COMPANY, booked.id, "<p>first</p>")
    after = control.rebook(
        COMPANY, booked.id, patient_name="Bella", client_name="Kim", consultation=consultation
    )

    record = listed(client, TOMORROW, booked.id)
    assert record is not None
    assert (record["patient_name"], record["first_name"]) == ("Bella", "Kim")
    assert str(record["patient_id"]) == after.patient_id != before.patient_id
    old = client.get(f"/consultations/{before.consultation_id}/page-data")
    if consultation == "same":
        assert after.consultation_id == before.consultation_id
        assert str(old.json()["patient"]["id"]) == after.written_for_id == before.patient_id
        assert old.json()["consultationNotes"]["notes"] == "<p>first</p>"
        return
    assert old.status_code == 404
    if consultation == "none":
        assert after.consultation_id is None
        after = control.finish(COMPANY, booked.id, "<p>second</p>")
    assert after.consultation_id not in {None, before.consultation_id}
    page = client.get(f"/consultations/{after.consultation_id}/page-data").json()
    assert str(page["patient"]["id"]) == after.patient_id == after.written_for_id
    assert "first" not in page["consultationNotes"]["notes"]


def test_some_finalized_appointments_have_no_page_yet(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    past = control.appointments(COMPANY, date(2026, 1, 1), date(2026, 2, 28))
    unwritten = [e for e in past if e.status == "Finalized" and e.notes is None]

    assert unwritten
    for entry in unwritten:
        page = client.get(f"/consultations/{entry.consultation_id}/page-data")
        assert page.status_code == 404


@pytest.mark.parametrize("asked", ["1", "nonsense", "9" * 5000, "-3"])
def test_an_unknown_id_is_not_found(client: httpx2.Client, asked: str) -> None:
    found = client.get("/appointments/getAppointment", params={"id": asked})
    page = client.get(f"/consultations/{asked}/page-data")

    assert (found.status_code, page.status_code) == (404, 404)


def test_an_unknown_record_or_clinic_is_not_found(control: SimulatorControl) -> None:
    with pytest.raises(ControlRefused) as record:
        control.cancel(COMPANY, "123")
    with pytest.raises(ControlRefused) as clinic:
        control.appointments("4711", TODAY, TODAY)

    assert (record.value.status, clinic.value.status) == (404, 404)


@pytest.mark.parametrize("body", [
    {}, {"start": "tomorrow"}, {"start": "2026-03-12"}, {"start": 7},
    {"start": "2026-03-12 10:00+00:00"}, {"start": "9999-12-31 23:59"},
    {"start": "2026-03-12 10:00", "minutes": 0}, {"start": "2026-03-12 10:00", "pet": "Rex"},
])  # fmt: skip
def test_a_bad_booking_is_refused_with_a_message(base_url: str, body: dict[str, object]) -> None:
    response = httpx2.post(f"{base_url}/_control/clinics/1001/appointments", json=body)

    assert response.status_code == 400
    assert response.json()["error"]


def test_requests_and_logins_are_counted(client: httpx2.Client, control: SimulatorControl) -> None:
    ask_listing(client, TODAY)
    ask_listing(client, TODAY)
    client.get("/consultations/1/page-data")

    stats = control.stats()
    assert stats.requests == {
        "login_page": 1, "login_post": 1, "listing": 2, "appointment": 0, "consultation": 1,
        "dictionary": 0,
    }  # fmt: skip
    assert stats.logins == {"1001": 1, "1002": 0, "1003": 0}


def test_a_reset_forgets_edits_sessions_and_counts(
    client: httpx2.Client, control: SimulatorControl, booked: TrueAppointment
) -> None:
    control.reset()

    assert booked.id not in {e.id for e in control.appointments(COMPANY, TOMORROW, TOMORROW)}
    assert ask_listing(client, TODAY).status_code == 302
    assert control.stats().requests["listing"] == 1


def test_the_clinics_show_their_zone_and_today(control: SimulatorControl) -> None:
    assert {(c.company_id, c.timezone, c.today) for c in control.clinics()} == {
        ("1001", "America/New_York", TODAY),
        ("1002", "Europe/London", TODAY),
        ("1003", "Australia/Sydney", TODAY),
    }
