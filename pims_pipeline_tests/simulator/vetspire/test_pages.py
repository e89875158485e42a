"""Pages of a calendar that no one edits, whatever their size: each row once, in order."""

from datetime import date, timedelta
from typing import Any, cast

from graphql import GraphQLResolveInfo
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.simulator.practice.clinics import VETSPIRE_CLINICS, SimulatorConfig
from pims_pipeline.simulator.state import build_simulator
from pims_pipeline.simulator.vendors.vetspire.queries import Queries
from pims_pipeline.simulator.vendors.vetspire.schema import read_datetime
from pims_pipeline_tests.simulator.http_client import TODAY
from pims_pipeline_tests.simulator.vetspire.graphql_client import instant, window

SIMULATOR = build_simulator(SimulatorConfig(today=TODAY, clinics=VETSPIRE_CLINICS))
NO_INFO = cast("GraphQLResolveInfo", None)
DAYS = st.integers(-400, 400).map(lambda days: TODAY + timedelta(days=days))


def pages(company_id: str, day: date, days: int, limit: int) -> list[dict[str, Any]]:
    """The rows of all pages up to the first that is not full."""
    practice = SIMULATOR.practices[company_id]
    asked: dict[str, object] = {
        name: read_datetime(moment)
        for name, moment in window(practice.clinic.zone, day, days).items()
    }
    asked |= {"includeCompleted": True, "locationId": company_id, "limit": limit}
    rows: list[dict[str, Any]] = []
    while True:
        page = Queries([practice]).appointments(NO_INFO, **asked, offset=len(rows))
        rows += page
        if len(page) < limit:
            return rows


@given(
    company_id=st.sampled_from([each.company_id for each in VETSPIRE_CLINICS]),
    day=DAYS,
    days=st.integers(1, 8),
    limit=st.integers(1, 200),
)
def test_pages_hold_each_row_of_the_window_once_and_in_order(
    company_id: str, day: date, days: int, limit: int
) -> None:
    calendar = SIMULATOR.practices[company_id].calendar
    truth = [
        entry.id
        for each in calendar.days(day, day + timedelta(days=days - 1))
        for entry in each
        if entry.kind != "roster"
    ]

    rows = pages(company_id, day, days, limit)

    assert sorted(int(row["id"]) for row in rows) == sorted(truth)
    order = [(instant(row["start"]), int(row["id"])) for row in rows]
    assert order == sorted(order)


@given(day=DAYS, days=st.integers(1, 8))
def test_days_asked_for_one_by_one_hold_what_they_hold_together(day: date, days: int) -> None:
    company_id = VETSPIRE_CLINICS[0].company_id
    singly = [
        row["id"]
        for offset in range(days)
        for row in pages(company_id, day + timedelta(days=offset), 1, 200)
    ]

    assert singly == [row["id"] for row in pages(company_id, day, days, 200)]
