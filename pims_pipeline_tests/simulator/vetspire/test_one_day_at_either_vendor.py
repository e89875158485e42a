"""The same person makes the same edits at a clinic of either vendor, and both show their result."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx2
import pytest

from pims_pipeline.simulator.control_client import SimulatorControl, TrueAppointment
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    SimulatedClinic,
    SimulatorConfig,
    on_vetspire,
)
from pims_pipeline.simulator.practice.entries import FIRST_BOOKED_ID
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    id_of,
    logged_in,
    new_client,
    records_of,
)
from pims_pipeline_tests.simulator.vetspire.graphql_client import (
    ENCOUNTER,
    Vetspire,
    instant,
    vetspire_client,
)
from pims_pipeline_tests.simulator.vetspire.test_people import sign_in

NEO = DEFAULT_CLINICS[0]
TWIN = on_vetspire(NEO, "key-of-riverbend")
MEANING = {
    "not arrived": "planned", "planned": "planned",
    "checked in": "arrived",
    "finalized": "finished", "completed": "finished", "checked out": "finished",
    "cancelled": "cancelled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """What a vendor shows of an appointment that a person has edited."""

    start: datetime
    status: str
    patient: str
    notes: str | None


@dataclass(frozen=True, slots=True)
class Clinic:
    """One vendor's clinic, with a person at its calendar page and a client of its interface."""

    simulated: SimulatedClinic
    control: SimulatorControl
    person: httpx2.Client
    base_url: str

    def press(self, action: str, **form: str) -> str:
        """Send one form of the calendar page; returns the id of the appointment edited."""
        (token,) = set(re.findall(r'name="form_token" value="([^"]+)"', self.person.get("/").text))
        sent = {"form_token": token, "date": str(TODAY)} | form
        response = self.person.post(f"/calendar/{action}", data=sent)
        assert response.status_code == 303, response.text
        return response.headers["location"].rpartition("-")[2]

    def truth(self) -> Mapping[str, TrueAppointment]:
        """The records of today and tomorrow."""
        days = TODAY, TODAY + timedelta(days=1)
        return {
            each.id: each for each in self.control.appointments(self.simulated.company_id, *days)
        }

    def shown(self) -> dict[str, Shown]:
        """Booked appointments of today and tomorrow, as the vendor's interface shows them."""
        by_vendor = _shown_by_vetspire if self.simulated.vendor == "vetspire" else _shown_by_neo
        return dict(by_vendor(self))


def _is_booked(appointment_id: str) -> bool:
    """Whether a person booked it: it was not made up with the day."""
    return int(appointment_id) >= FIRST_BOOKED_ID


def _shown_by_neo(clinic: Clinic) -> Iterator[tuple[str, Shown]]:
    with logged_in(clinic.base_url) as client:
        for row in records_of(ask_listing(client, TODAY, TODAY + timedelta(days=1))):
            if not _is_booked(id_of(row)):
                continue
            local = datetime.fromisoformat(row["start"]).replace(tzinfo=clinic.simulated.zone)
            encounter = row["consultation_id"]
            page = client.get(f"/consultations/{encounter}/page-data") if encounter else None
            notes = page.json()["consultationNotes"]["notes"] if page else None
            status = _meaning(row["current_status"])
            yield id_of(row), Shown(local.astimezone(UTC), status, row["patient_name"], notes)


def _shown_by_vetspire(clinic: Clinic) -> Iterator[tuple[str, Shown]]:
    with vetspire_client(clinic.base_url, TWIN.api_key) as client:
        for day in (TODAY, TODAY + timedelta(days=1)):
            for row in client.day(TWIN, day):
                if not _is_booked(row["id"]):
                    continue
                status, patient = _meaning(row["status"]), (row["patient"] or {"name": ""})["name"]
                shown = Shown(instant(row["start"]), status, patient, _notes_at(client, row))
                yield row["id"], shown


def _notes_at(client: Vetspire, row: Mapping[str, Any]) -> str | None:
    for each in row["encounters"]:
        encounter = client.ask(ENCOUNTER, id=each["id"])["encounter"]
        assert encounter["signed"]
        return "".join(item["value"] for part in encounter["sections"] for item in part["data"])
    return None


def _meaning(word: str) -> str:
    plain = re.sub(r"[\s_-]+", " ", word.casefold())
    return MEANING.get(plain, plain)


@pytest.fixture(params=[NEO, TWIN], ids=lambda clinic: clinic.vendor)
def clinic(request: pytest.FixtureRequest) -> Iterator[Clinic]:
    simulated: SimulatedClinic = request.param
    with (
        running_simulator(SimulatorConfig(today=TODAY, clinics=(simulated,))) as server,
        closing(SimulatorControl(server.base_url)) as control,
        new_client(server.base_url) as person,
    ):
        if simulated.vendor == "vetspire":
            assert sign_in(person, TWIN.company_id, TWIN.password).status_code == 303
            yield Clinic(simulated, control, person, server.base_url)
        else:
            with logged_in(server.base_url) as neo:
                yield Clinic(simulated, control, neo, server.base_url)


def at(hour: int, day: date = TODAY) -> datetime:
    return datetime.combine(day, time(hour), NEO.zone).astimezone(UTC)


def test_a_persons_day_is_the_same_at_either_vendor(clinic: Clinic) -> None:
    tomorrow = TODAY + timedelta(days=1)
    ids = {
        name: clinic.press("book", patient=name, minutes="30", start=f"{TODAY}T{hour:02}:00")
        for hour, name in enumerate(
            ("Stay", "Move", "Cancel", "Restore", "Delete", "Arrive", "Finish"), start=8
        )
    }

    clinic.press(f"{ids['Move']}/move", start=f"{tomorrow}T18:00")
    clinic.press(f"{ids['Cancel']}/cancel")
    clinic.press(f"{ids['Restore']}/delete")
    clinic.press(f"{ids['Restore']}/restore")
    clinic.press(f"{ids['Delete']}/delete")
    clinic.press(f"{ids['Arrive']}/check-in")
    clinic.press(f"{ids['Finish']}/finish", notes="<p>Well</p>")
    clinic.press(f"{ids['Finish']}/notes", notes="<p>Corrected</p>")

    assert clinic.shown() == {
        ids["Stay"]: Shown(at(8), "planned", "Stay", None),
        ids["Move"]: Shown(at(18, tomorrow), "planned", "Move", None),
        ids["Cancel"]: Shown(at(10), "cancelled", "Cancel", None),
        ids["Restore"]: Shown(at(11), "planned", "Restore", None),
        ids["Arrive"]: Shown(at(13), "arrived", "Arrive", None),
        ids["Finish"]: Shown(at(14), "finished", "Finish", "<p>Corrected</p>"),
    }
    assert clinic.truth()[ids["Delete"]].deleted


def test_the_day_before_any_edit_is_the_same_at_either_vendor() -> None:
    days = []
    for simulated in (NEO, TWIN):
        config = SimulatorConfig(today=TODAY, clinics=(simulated,))
        with (
            running_simulator(config) as server,
            closing(SimulatorControl(server.base_url)) as control,
        ):
            days.append(control.appointments(simulated.company_id, TODAY, TODAY))

    assert days[0] == days[1]
