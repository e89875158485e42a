"""Edits that happen between two pages of a listing, at either vendor."""

from datetime import datetime, time

import pytest

from pims_pipeline.simulator.control_client import ControlRefused, SimulatorControl
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    id_of,
    logged_in,
    records_of,
)
from pims_pipeline_tests.simulator.vetspire.graphql_client import CHICAGO, Vetspire

COMPANY = CHICAGO.company_id
EARLY, LATE = (datetime.combine(TODAY, time(hour, 5)) for hour in (0, 23))


def pages(juniper: Vetspire, how_many: int) -> list[list[str]]:
    """The ids on so many pages of three rows."""
    return [
        [row["id"] for row in juniper.day(CHICAGO, TODAY, limit=3, offset=3 * page)]
        for page in range(how_many)
    ]


def test_a_booking_between_two_pages_shows_a_row_twice(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    control.edit_after_page(COMPANY, "book", start=EARLY)

    first, second = pages(juniper, 2)

    assert second[0] == first[-1]


def test_a_deletion_between_two_pages_hides_a_row_that_is_there(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    before = pages(juniper, 3)
    control.edit_after_page(COMPANY, "delete", after_pages=2, appointment_id=before[0][0])

    after = pages(juniper, 3)

    assert after[:2] == before[:2]
    assert before[2][0] not in {each for page in after for each in page}
    assert pages(juniper, 1)[0] == [*before[0][1:], before[1][0]]


def test_a_move_to_a_page_that_was_read_hides_a_row(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    before = pages(juniper, 2)
    control.edit_after_page(COMPANY, "move", appointment_id=before[1][0], start=EARLY)

    after = pages(juniper, 2)

    assert after[0] == before[0]
    assert before[1][0] not in after[1]


def test_a_cancellation_and_a_finish_are_made_once(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, LATE)
    control.edit_after_page(COMPANY, "cancel", appointment_id=booked.id)
    control.edit_after_page(COMPANY, "finish", after_pages=2, appointment_id=booked.id)

    def status() -> str:
        (found,) = (r["status"] for r in juniper.day(CHICAGO, TODAY) if r["id"] == booked.id)
        return str(found)

    assert [status() for _ in range(2)] == ["PLANNED", "CANCELLED"]
    assert {status() for _ in range(2)} <= {"COMPLETED", "CHECKED_OUT"}


def test_at_neo_the_edit_is_made_after_the_whole_listing(
    base_url: str, control: SimulatorControl
) -> None:
    control.edit_after_page("1001", "book", start=EARLY)

    with logged_in(base_url) as neo:
        before, after = ({id_of(r) for r in records_of(ask_listing(neo, TODAY))} for _ in range(2))

    assert len(after - before) == 1


@pytest.mark.parametrize(
    ("action", "appointment_id", "status"),
    [("move", None, 400), ("book", None, 400), ("cancel", None, 400), ("cancel", "1", 404)],
)
def test_an_edit_that_could_not_be_made_is_refused(
    control: SimulatorControl, action: str, appointment_id: str | None, status: int
) -> None:
    with pytest.raises(ControlRefused) as refused:
        control.edit_after_page(COMPANY, action, appointment_id=appointment_id)  # type: ignore[arg-type]  # any text

    assert refused.value.status == status
