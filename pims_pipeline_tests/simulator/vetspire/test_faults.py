"""The faults of the simulated Vetspire, and those that both vendors have."""

import json
from collections import Counter
from datetime import datetime, time
from typing import Any

import httpx2
import pytest

from pims_pipeline.simulator.control_client import ControlRefused, SimulatorControl
from pims_pipeline.simulator.faults import UNKNOWN_STATUS
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    logged_in,
    records_of,
)
from pims_pipeline_tests.simulator.vetspire.graphql_client import (
    AUCKLAND,
    CATS,
    CHICAGO,
    ENCOUNTER,
    LISTING,
    LOOKUP,
    Vetspire,
    vetspire_client,
    window,
)

COMPANY = CHICAGO.company_id
NINE = datetime.combine(TODAY, time(9))


def listing(juniper: Vetspire, **asked: object) -> httpx2.Response:
    """The response to the listing of today, finished appointments included."""
    today = window(CHICAGO.zone, TODAY)
    return juniper.send(LISTING, **({"loc": COMPANY, "completed": True} | today | asked))


def rows_of(response: httpx2.Response) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = response.json()["data"]["appointments"]
    return rows


def test_a_key_can_be_revoked_in_the_middle(juniper: Vetspire, control: SimulatorControl) -> None:
    assert listing(juniper).status_code == 200
    control.add_fault("forbidden", times=None)

    assert [listing(juniper).status_code, juniper.send(LOOKUP, id="1").status_code] == [403, 403]


def test_errors_come_with_status_200_and_no_data(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    control.add_fault("graphql_errors")

    response = listing(juniper)

    assert response.status_code == 200
    assert response.json() == {"data": None, "errors": [{"message": "Internal server error"}]}
    assert "errors" not in listing(juniper).json()


def test_partial_data_lacks_the_first_row_of_a_listing(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    whole = rows_of(listing(juniper))
    control.add_fault("partial_data", endpoint="listing")

    partial = listing(juniper)

    assert rows_of(partial) == [None, *whole[1:]]
    assert partial.json()["errors"][0]["path"] == ["appointments", 0]


def test_partial_data_lacks_a_record_that_exists(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    known = rows_of(listing(juniper))[0]["id"]
    control.add_fault("partial_data", endpoint="appointment")

    response = juniper.send(LOOKUP, id=known).json()

    assert response["data"] == {"appointment": None}
    assert response["errors"][0]["message"] == "Internal server error"


def test_a_poisoned_row_fails_every_page_that_holds_it(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    ids = [row["id"] for row in rows_of(listing(juniper))]
    control.add_fault("poisoned_row", appointment_id=ids[2])

    pages = [listing(juniper, limit=2, offset=offset) for offset in (0, 2, 4, 2)]

    assert [page.status_code for page in pages] == [200, 500, 200, 500]
    around = [listing(juniper, limit=1, offset=offset).status_code for offset in (1, 2, 3)]
    assert around == [200, 500, 200]
    assert juniper.ask(LOOKUP, id=ids[2])["appointment"]["id"] == ids[2]


def test_a_row_of_another_location_of_the_key_may_be_listed(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    whole = rows_of(listing(juniper))
    control.add_fault("other_location")

    rows = rows_of(listing(juniper))

    assert rows[:-1] == whole
    assert rows[-1]["location"] == {"id": CATS.company_id}


def test_a_row_of_a_location_that_no_one_knows_may_be_listed(
    base_url: str, control: SimulatorControl
) -> None:
    control.add_fault("other_location")

    with vetspire_client(base_url, AUCKLAND.api_key) as kowhai:
        rows = kowhai.day(AUCKLAND, TODAY)

    assert Counter(row["location"]["id"] for row in rows)["9999"] == 1


@pytest.mark.parametrize(("retry_after", "header"), [(7, "7"), (None, None)])
def test_too_many_requests_may_name_the_seconds_to_wait(
    juniper: Vetspire, control: SimulatorControl, retry_after: float | None, header: str | None
) -> None:
    control.add_fault("rate_limited", retry_after=retry_after)

    limited = listing(juniper)

    assert (limited.status_code, limited.headers.get("retry-after")) == (429, header)


def test_unknown_words_are_the_status_of_every_record(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    control.add_fault("unknown_words")

    assert {row["status"] for row in rows_of(listing(juniper))} == {UNKNOWN_STATUS}


def test_record_faults_spoil_a_page_as_they_do_at_neo(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    whole = rows_of(listing(juniper))

    def spoilt(kind: str, appointment_id: str | None = None) -> list[dict[str, Any]]:
        control.add_fault(kind, appointment_id=appointment_id)
        return rows_of(listing(juniper))

    assert spoilt("empty_calendar") == []
    assert spoilt("drop_record", whole[1]["id"]) == [whole[0], *whole[2:]]
    assert spoilt("duplicates") == [*whole, *whole[: len(whole) // 2]]
    assert [row["id"] for row in spoilt("zero_ids")[-2:]] == ["0", ""]
    for kind, name in (("record_without_id", "id"), ("record_without_start", "start")):
        pairs = list(zip(whole, spoilt(kind), strict=True))
        ((before, after),) = (pair for pair in pairs if pair[0] != pair[1])
        assert after == before | {name: None}
        assert before["patient"]


def test_odd_descriptions_spoil_nothing_that_decides(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    whole = rows_of(listing(juniper))
    control.add_fault("odd_descriptions")

    odd = rows_of(listing(juniper))

    for name in ("id", "start", "duration", "status", "deleted", "location", "encounters"):
        assert [row[name] for row in odd] == [row[name] for row in whole]
    assert {json.dumps(row["provider"]) for row in odd} == {"[]"}
    assert [row["type"] and row["type"]["id"] for row in odd] == [
        row["type"] and row["type"]["id"] for row in whole
    ]


def test_an_odd_encounter_keeps_its_notes(juniper: Vetspire, control: SimulatorControl) -> None:
    booked = control.book(COMPANY, NINE)
    finished = control.finish(COMPANY, booked.id)
    control.add_fault("odd_descriptions")

    odd = juniper.ask(ENCOUNTER, id=finished.consultation_id)["encounter"]

    assert odd["signed"] is True
    assert odd["plan"] or odd["sections"]
    assert odd["vitals"] == "none taken"


@pytest.mark.parametrize("kind", ["cut_off", "truncated_json", "html", "not_a_list", "odd_bytes"])
def test_faults_of_whole_responses_are_those_of_every_vendor(
    juniper: Vetspire, control: SimulatorControl, kind: str
) -> None:
    control.add_fault(kind, endpoint="listing")

    with pytest.raises((httpx2.RemoteProtocolError, ValueError, KeyError)):
        rows_of(listing(juniper))
    assert rows_of(listing(juniper))


@pytest.mark.parametrize("kind", ["hang", "drip", "hang_after_headers"])
def test_a_stalled_response_holds_up_no_other(
    juniper: Vetspire, control: SimulatorControl, kind: str
) -> None:
    control.add_fault(kind, endpoint="listing", company_id=COMPANY)
    today = {"loc": COMPANY} | window(CHICAGO.zone, TODAY)

    with pytest.raises(httpx2.ReadTimeout):
        juniper.http.post("/graphql", json={"query": LISTING, "variables": today}, timeout=0.2)
    assert rows_of(listing(juniper))


def test_a_fault_applies_to_the_location_and_query_that_it_names(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    mine, other = (juniper.day(clinic, TODAY)[0]["id"] for clinic in (CHICAGO, CATS))
    control.add_fault("server_error", endpoint="appointment", company_id=COMPANY, times=None)

    statuses = [juniper.send(LOOKUP, id=each).status_code for each in (mine, other)]

    assert statuses == [500, 200]
    assert listing(juniper).status_code == 200


def test_a_fault_of_the_other_vendor_is_refused(control: SimulatorControl) -> None:
    for company_id, kind in ((COMPANY, "session_expired_401"), ("1001", "forbidden")):
        with pytest.raises(ControlRefused, match="is no fault of"):
            control.add_fault(kind, company_id=company_id)
    with pytest.raises(ControlRefused, match="poisoned_row needs appointmentId"):
        control.add_fault("poisoned_row")


def test_a_fault_of_one_vendor_leaves_the_other_alone(
    base_url: str, control: SimulatorControl
) -> None:
    control.add_fault("forbidden", times=None)
    control.add_fault("graphql_errors", times=None)

    with logged_in(base_url) as neo:
        assert records_of(ask_listing(neo, TODAY))


def test_requests_are_counted_by_what_they_ask_for(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    listing(juniper)
    juniper.send(LOOKUP, id="1")
    juniper.send(ENCOUNTER, id="1")
    juniper.ask("{ locations { id } }")

    counted = control.stats().requests
    assert [counted[each] for each in ("listing", "appointment", "consultation", "dictionary")] == [
        1,
        1,
        1,
        1,
    ]
