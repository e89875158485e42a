"""A person at a clinic of Vetspire: signs in, sees the day in its words, edits it, signs out."""

import re
from collections.abc import Iterator
from datetime import datetime, time

import httpx2
import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import (
    VETSPIRE_CLINICS,
    VETSPIRE_SIGN_IN,
    SimulatorConfig,
)
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline_tests.simulator.http_client import TODAY, ask_listing, new_client
from pims_pipeline_tests.simulator.vetspire.graphql_client import CHICAGO

COMPANY = CHICAGO.company_id
NINE = datetime.combine(TODAY, time(9))


def sign_in(
    client: httpx2.Client, location: str = COMPANY, password: str = CHICAGO.password
) -> httpx2.Response:
    """Fetches the sign-in page and sends its form."""
    (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', client.get(VETSPIRE_SIGN_IN).text)
    form = {"location_id": location, "username": "demo", "password": password}
    return client.post(VETSPIRE_SIGN_IN, data=form | {"csrf_token": token})


def row_of(page: str, appointment_id: str) -> str:
    """The table row of an appointment."""
    return page.partition(f'<tr id="appointment-{appointment_id}"')[2].partition("</tr>")[0]


@pytest.fixture
def person(base_url: str) -> Iterator[httpx2.Client]:
    """A person who has signed in."""
    with new_client(base_url) as client:
        response = sign_in(client)
        assert (response.status_code, response.headers["location"]) == (303, "/")
        yield client


def test_the_page_names_the_vendor_and_has_its_status_words(
    person: httpx2.Client, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)

    page = person.get("/").text
    before = row_of(page, booked.id)
    control.finish(COMPANY, booked.id)
    after = row_of(person.get("/").text, booked.id)

    assert f"Simulated clinic {COMPANY} of Vetspire" in page
    assert "PLANNED" in before
    assert "Check in" in before
    assert re.search(r"COMPLETED|CHECKED_OUT", after)
    assert "Encounter signed" in after


def test_a_person_checks_in_and_cancels(person: httpx2.Client, control: SimulatorControl) -> None:
    booked = control.book(COMPANY, NINE)
    (token,) = set(re.findall(r'name="form_token" value="([^"]+)"', person.get("/").text))

    def press(action: str) -> str:
        form = {"form_token": token, "date": str(TODAY)}
        assert person.post(f"/calendar/{booked.id}/{action}", data=form).status_code == 303
        return row_of(person.get("/").text, booked.id)

    assert re.search(r"CHECKED_IN|Checked-in", press("check-in"))
    assert "CANCELLED" in press("cancel")
    assert "Deleted" in press("delete")


@pytest.mark.parametrize(
    ("location", "password"), [(COMPANY, "wrong"), ("1001", "demo-1001"), ("", "")]
)
def test_a_wrong_password_and_a_clinic_of_another_vendor_are_refused(
    base_url: str, location: str, password: str
) -> None:
    with new_client(base_url) as client:
        refused = sign_in(client, location, password)

    assert refused.status_code == 403
    assert "is wrong" in refused.text


def test_too_many_wrong_passwords_lock_the_account(base_url: str) -> None:
    with new_client(base_url) as client:
        for _ in range(5):
            sign_in(client, password="wrong")
        assert "locked" in sign_in(client).text


def test_a_form_of_another_browser_is_out_of_date(base_url: str) -> None:
    with new_client(base_url) as client:
        form = {"location_id": COMPANY, "username": "demo", "password": CHICAGO.password}
        assert "out of date" in client.post(VETSPIRE_SIGN_IN, data=form).text


def test_a_persons_session_opens_no_endpoint_of_neo(person: httpx2.Client) -> None:
    response = ask_listing(person, TODAY)

    assert (response.status_code, response.headers["location"]) == (302, "/login")


def test_signing_out_ends_the_session(person: httpx2.Client) -> None:
    (token,) = set(re.findall(r'name="form_token" value="([^"]+)"', person.get("/").text))

    out = person.post("/logout", data={"form_token": token})

    assert out.headers["location"] == VETSPIRE_SIGN_IN
    assert person.get("/").status_code == 302


def test_where_all_clinics_are_vetspires_the_start_page_leads_to_its_sign_in() -> None:
    config = SimulatorConfig(today=TODAY, clinics=VETSPIRE_CLINICS)
    with running_simulator(config) as server, new_client(server.base_url) as client:
        assert client.get("/").headers["location"] == VETSPIRE_SIGN_IN
