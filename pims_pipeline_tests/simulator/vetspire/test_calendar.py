"""The calendar at Vetspire: the listing, its pages, lookups, types."""

from datetime import datetime, time, timedelta

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    SimulatorConfig,
    on_vetspire,
)
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline_tests.simulator.http_client import TODAY
from pims_pipeline_tests.simulator.vetspire.graphql_client import (
    AUCKLAND,
    CHICAGO,
    LISTING,
    LOOKUP,
    Vetspire,
    instant,
    vetspire_client,
    window,
)

COMPANY = CHICAGO.company_id
NINE = datetime.combine(TODAY, time(9))


def test_a_whole_day_is_listed_without_rosters(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    truth = control.appointments(COMPANY, TODAY, TODAY)

    rows = juniper.day(CHICAGO, TODAY)

    assert [row["id"] for row in rows] == [each.id for each in truth if each.kind != "roster"]
    assert {row["location"]["id"] for row in rows} == {COMPANY}


def test_finished_appointments_are_listed_only_when_asked_for(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    control.finish(COMPANY, booked.id)

    assert booked.id not in {row["id"] for row in juniper.day(CHICAGO, TODAY, completed=False)}
    listed = {row["id"]: row for row in juniper.day(CHICAGO, TODAY)}
    assert listed[booked.id]["status"] in {"COMPLETED", "CHECKED_OUT"}


def test_deleted_appointments_are_listed_only_by_themselves(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    control.delete(COMPANY, booked.id)

    assert booked.id not in {row["id"] for row in juniper.day(CHICAGO, TODAY)}
    assert [row["id"] for row in juniper.day(CHICAGO, TODAY, deleted=True)] == [booked.id]
    assert juniper.ask(LOOKUP, id=booked.id)["appointment"]["deleted"] is True


def test_a_window_has_its_start_and_not_its_end(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    nine, ten = (NINE.replace(hour=hour, tzinfo=CHICAGO.zone).isoformat() for hour in (9, 10))

    def listed(start: str, end: str) -> bool:
        return booked.id in {row["id"] for row in juniper.day(CHICAGO, TODAY, start=start, end=end)}

    assert listed(nine, ten)
    assert not listed(NINE.replace(hour=8, tzinfo=CHICAGO.zone).isoformat(), nine)


def test_a_page_has_at_most_200_rows() -> None:
    clinic = on_vetspire(DEFAULT_CLINICS[0], "key")
    config = SimulatorConfig(today=TODAY, clinics=(clinic,), appointments_per_day=450)
    with running_simulator(config) as server, vetspire_client(server.base_url, "key") as client:
        pages = [client.day(clinic, TODAY, limit=500, offset=offset) for offset in (0, 200, 400)]

    assert [len(page) for page in pages[:2]] == [200, 200]
    assert len(pages[2]) in range(50, 60)
    ids = [row["id"] for page in pages for row in page]
    assert len(set(ids)) == len(ids)


def test_a_booking_between_two_pages_shifts_the_second(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    first = juniper.day(CHICAGO, TODAY, limit=3)
    control.book(COMPANY, datetime.combine(TODAY, time(0, 5)))

    second = juniper.day(CHICAGO, TODAY, limit=3, offset=3)

    assert second[0]["id"] == first[-1]["id"]


def test_one_unknown_id_fails_a_whole_batch(juniper: Vetspire) -> None:
    known = juniper.day(CHICAGO, TODAY)[0]["id"]
    batch = '{{ a: appointment(id: "{}") {{ id }} b: appointment(id: "{}") {{ id }} }}'

    assert juniper.ask(batch.format(known, known)) == {"a": {"id": known}, "b": {"id": known}}
    failed = juniper.send(batch.format(known, "1"))
    assert (failed.status_code, failed.json()) == (
        200,
        {"data": None, "errors": [{"message": "Appointment not found", "path": ["b"]}]},
    )


@pytest.mark.parametrize("asked", ["0", "-1", "abc", "9" * 40, "٣"])
def test_an_id_that_no_record_has_is_unknown(juniper: Vetspire, asked: str) -> None:
    assert juniper.send(LOOKUP, id=asked).json()["errors"][0]["message"] == "Appointment not found"


@pytest.mark.parametrize(
    ("lookup", "data"), [("not_found", None), ("gone", None), ("null", {"appointment": None})]
)
def test_a_deleted_appointment_may_be_unknown(
    juniper: Vetspire, control: SimulatorControl, lookup: str, data: object
) -> None:
    booked = control.book(COMPANY, NINE)
    control.delete(COMPANY, booked.id)
    control.settings(deleted_lookup=lookup)  # type: ignore[arg-type]  # a literal

    assert juniper.send(LOOKUP, id=booked.id).json()["data"] == data


def test_times_carry_the_clinics_offset_or_are_utc_without_saying_so(
    base_url: str, juniper: Vetspire, control: SimulatorControl
) -> None:
    chicago = control.book(COMPANY, NINE)
    auckland = control.book(AUCKLAND.company_id, NINE)

    with vetspire_client(base_url, AUCKLAND.api_key) as kowhai:
        bare = kowhai.ask(LOOKUP, id=auckland.id)["appointment"]["start"]
    assert juniper.ask(LOOKUP, id=chicago.id)["appointment"]["start"] == "2026-03-11T09:00:00-05:00"
    assert bare == "2026-03-10T20:00:00"
    assert instant(bare) == NINE.replace(tzinfo=AUCKLAND.zone)


def test_what_was_changed_in_a_span_can_be_listed(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE + timedelta(days=400))
    lookup = "query ($id: ID!) { appointment(id: $id) { updatedAt } }"
    changed = instant(juniper.ask(lookup, id=booked.id)["appointment"]["updatedAt"])
    query = """query ($loc: ID, $from: NaiveDateTime, $to: NaiveDateTime) {
      appointments(locationId: $loc, updatedAtStart: $from, updatedAtEnd: $to) { id } }"""

    def listed(first: datetime, last: datetime) -> list[str]:
        bare = [each.replace(tzinfo=None).isoformat() for each in (first, last)]
        asked = {"loc": COMPANY, "from": bare[0], "to": bare[1]}
        return [row["id"] for row in juniper.ask(query, **asked)["appointments"]]

    second = timedelta(seconds=1)
    assert booked.id in listed(changed, changed + second)
    assert booked.id not in listed(changed - second, changed)


def test_an_appointment_can_go_to_another_provider(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE, provider="Dr. Ada Fenwick")

    def provider() -> object:
        (row,) = (each for each in juniper.day(CHICAGO, TODAY) if each["id"] == booked.id)
        return row["provider"]

    first = provider()
    moved = control.move_to_provider(COMPANY, booked.id, "Dr. Tomás Rivera")
    second = provider()
    control.move_to_provider(COMPANY, booked.id, None)

    assert moved.provider == "Dr. Tomás Rivera"
    assert [first, second, provider()] == [
        {"id": "1", "name": "Dr. Ada Fenwick"},
        {"id": "2", "name": "Dr. Tomás Rivera"},
        None,
    ]


def test_a_status_word_that_the_vendor_does_not_use_is_shown_as_it_is(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, NINE)
    control.set_status(COMPANY, booked.id, "Waiting in car")

    assert juniper.ask(LOOKUP, id=booked.id)["appointment"]["status"] == "Waiting in car"


def test_blocks_have_a_type_that_says_so(juniper: Vetspire) -> None:
    types = juniper.ask("{ appointmentTypes { id name isBlockoff isSurgery isExam isDropoff } }")
    blocks = {each["id"] for each in types["appointmentTypes"] if each["isBlockoff"]}

    rows = juniper.day(CHICAGO, TODAY)

    lunch = [row for row in rows if row["type"] and row["type"]["id"] in blocks]
    assert {row["reason"] for row in lunch} >= {"Lunch"}
    assert {row["patient"] for row in lunch} == {None}
    surgeries = {each["name"] for each in types["appointmentTypes"] if each["isSurgery"]}
    assert "Neuter" in surgeries


def test_a_clinic_has_the_same_calendar_at_either_vendor() -> None:
    neo = DEFAULT_CLINICS[0]
    config = SimulatorConfig(today=TODAY)

    days = [Calendar(config, clinic).day(TODAY) for clinic in (neo, on_vetspire(neo, "key"))]

    assert days[0] == days[1]


@pytest.mark.parametrize("days", [1, 14])
def test_days_of_a_clock_change_lose_no_record(
    juniper: Vetspire, control: SimulatorControl, days: int
) -> None:
    first = TODAY.replace(day=8)
    truth = control.appointments(COMPANY, first, first + timedelta(days=days - 1))

    rows = juniper.ask(LISTING, loc=COMPANY, completed=True, **window(CHICAGO.zone, first, days))[
        "appointments"
    ]

    assert {row["id"] for row in rows} == {each.id for each in truth if each.kind != "roster"}
