"""Each fault has its effect on as many responses as requested, and then ends."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx2
import pytest

from pims_pipeline.simulator.control_client import ControlRefused, SimulatorControl
from pims_pipeline.simulator.faults import STALLS
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    id_of,
    logged_in,
    new_client,
    records_of,
)


@pytest.fixture
def client(base_url: str) -> Iterator[httpx2.Client]:
    with logged_in(base_url) as visiting:
        yield visiting


@pytest.mark.parametrize(
    ("kind", "status", "content"),
    [
        ("session_expired_redirect", 302, None),
        ("session_expired_401", 401, "application/json"),
        ("session_expired_html", 200, "text/html"),
    ],
)
def test_an_expired_session_stays_expired(
    client: httpx2.Client, control: SimulatorControl, kind: str, status: int, content: str | None
) -> None:
    control.add_fault(kind, endpoint="listing")

    responses = [ask_listing(client, TODAY) for _ in range(2)]

    assert [response.status_code for response in responses] == [status, status]
    if content:
        assert [a.headers["content-type"].split(";")[0] for a in responses] == [content, content]


def test_too_many_requests_name_the_seconds_to_wait(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("rate_limited", retry_after=7)

    limited, after = ask_listing(client, TODAY), ask_listing(client, TODAY)

    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert after.status_code == 200


def test_a_429_may_come_without_a_time_to_wait(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("rate_limited", retry_after=None)

    assert "retry-after" not in ask_listing(client, TODAY).headers


def test_a_server_error_strikes_the_next_calls_and_no_more(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("server_error", times=2)

    assert [ask_listing(client, TODAY).status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_an_end_lasts_until_it_is_cleared(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("server_error", times=None)

    assert [ask_listing(client, TODAY).status_code for _ in range(5)] == [500] * 5
    control.clear_faults()
    assert ask_listing(client, TODAY).status_code == 200


def test_a_fault_strikes_only_the_clinic_and_endpoint_it_names(
    base_url: str, client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("server_error", endpoint="listing", company_id="1002", times=None)

    with logged_in(base_url, "1002") as other:
        assert ask_listing(client, TODAY).status_code == 200
        assert ask_listing(other, TODAY).status_code == 500
        missing = other.get("/appointments/getAppointment", params={"id": "1"})
        assert missing.status_code == 404


def test_a_cut_off_body_ends_with_the_connection(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("cut_off")

    with pytest.raises(httpx2.RemoteProtocolError):
        ask_listing(client, TODAY)
    assert ask_listing(client, TODAY).status_code == 200


def test_truncated_json_is_a_whole_response_with_half_a_document(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("truncated_json")

    response = ask_listing(client, TODAY)

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_html_in_place_of_json_is_not_the_login_page(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("html")

    response = ask_listing(client, TODAY)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "password" not in response.text


def test_an_error_object_replaces_the_list(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("not_a_list")

    assert list(ask_listing(client, TODAY).json()) == ["error"]


def test_an_empty_calendar_is_a_well_formed_listing_of_nothing(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("empty_calendar")

    assert records_of(ask_listing(client, TODAY)) == []
    assert records_of(ask_listing(client, TODAY)) != []


def test_duplicates_repeat_records_word_for_word(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    whole = records_of(ask_listing(client, TODAY))
    control.add_fault("duplicates")

    doubled = records_of(ask_listing(client, TODAY))

    counted = Counter(json.dumps(record) for record in doubled)
    assert set(counted) == {json.dumps(record) for record in whole}
    assert max(counted.values()) == 2


@pytest.mark.parametrize(
    ("kind", "lost"),
    [("record_without_id", {"id", "appointment_id"}), ("record_without_start", {"start"})],
)
def test_one_record_loses_what_makes_it_readable(
    client: httpx2.Client, control: SimulatorControl, kind: str, lost: set[str]
) -> None:
    whole = records_of(ask_listing(client, TODAY))
    control.add_fault(kind)

    spoilt = records_of(ask_listing(client, TODAY))

    changed = [pair for pair in zip(whole, spoilt, strict=True) if pair[0] != pair[1]]
    ((before, after),) = changed
    assert set(before) - set(after) == lost & set(before)
    assert before["patient_name"]


def test_a_partial_listing_leaves_out_one_record_that_exists(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    whole = {id_of(record) for record in records_of(ask_listing(client, TODAY))}
    missing = max(whole)
    control.add_fault("drop_record", appointment_id=missing)

    partial = {id_of(record) for record in records_of(ask_listing(client, TODAY))}
    found = client.get("/appointments/getAppointment", params={"id": missing})

    assert whole - partial == {missing}
    assert found.json()["appointment"]["id"] == missing


def test_zero_ids_leave_id_alone_and_add_two_records_without_any(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    whole = [id_of(record) for record in records_of(ask_listing(client, TODAY))]
    control.add_fault("zero_ids")

    spoilt = records_of(ask_listing(client, TODAY))

    assert [record["appointment_id"] for record in spoilt[:-2]] == [0] * len(whole)
    assert [str(record["id"]) for record in spoilt[:-2]] == whole
    assert spoilt[-2] == spoilt[-1]
    assert (spoilt[-1]["id"], spoilt[-1]["appointment_id"]) == (0, "0")


def test_odd_bytes_are_neither_utf_8_nor_strict_json(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("odd_bytes")

    response = ask_listing(client, TODAY)

    with pytest.raises(UnicodeDecodeError):
        response.content.decode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.content.decode("cp1252"))
    assert json.loads(response.content.decode("cp1252"), strict=False)


def test_json_as_html_is_json_with_a_login_form_in_a_text(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("json_as_html")

    response = ask_listing(client, TODAY)

    assert response.headers["content-type"].startswith("text/html")
    assert "type='password'" in response.text
    assert records_of(response)


def test_odd_descriptions_spoil_nothing_that_decides(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    whole = records_of(ask_listing(client, TODAY))
    control.add_fault("odd_descriptions")

    spoilt = records_of(ask_listing(client, TODAY))

    deciding = ("id", "appointment_id", "start", "is_block", "is_roster")
    for before, after in zip(whole, spoilt, strict=True):
        assert [before.get(name) for name in deciding] == [after.get(name) for name in deciding]
        assert (after["provider"], after["phone_number"]) == ([], {})


def test_latency_delays_the_right_response(
    client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("latency", seconds=30)

    with pytest.raises(httpx2.ReadTimeout):
        client.get("/appointments/getAppointment", params={"id": "1"}, timeout=0.2)
    control.add_fault("latency", seconds=0.05)
    assert ask_listing(client, TODAY).status_code == 200


def test_a_hung_request_holds_up_no_other(
    base_url: str, client: httpx2.Client, control: SimulatorControl
) -> None:
    control.add_fault("hang")

    with pytest.raises(httpx2.ReadTimeout):
        client.get("/appointments/getAppointment", params={"id": "1"}, timeout=0.2)
    with logged_in(base_url, "1003") as other:
        assert ask_listing(other, TODAY).status_code == 200


@pytest.mark.parametrize("kind", ["hang", *sorted(STALLS)])
def test_a_response_that_stalls_does_not_keep_the_server_from_stopping(kind: str) -> None:
    outcome: list[str] = []

    def ask(client: httpx2.Client) -> None:
        try:
            outcome.append(str(ask_listing(client, TODAY).status_code))
        except httpx2.HTTPError as error:
            outcome.append(type(error).__name__)

    with ExitStack() as running, ExitStack() as asked:
        server = running.enter_context(running_simulator(SimulatorConfig(today=TODAY)))
        client = asked.enter_context(logged_in(server.base_url))
        control = asked.enter_context(closing(SimulatorControl(server.base_url)))
        control.add_fault(kind, endpoint="listing")
        asking = threading.Thread(target=ask, args=(client,))
        asking.start()
        wait_until(lambda: control.stats().requests["listing"] == 1)
        running.close()
        asking.join(timeout=10)

    assert not asking.is_alive()
    assert len(outcome) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 10, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_the_login_page_can_fail_too(base_url: str, control: SimulatorControl) -> None:
    control.add_fault("server_error", endpoint="login")

    with new_client(base_url) as client:
        assert [client.get("/login").status_code for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(
    ("kind", "endpoint"),
    [
        ("empty_calendar", "appointment"),
        ("session_expired_401", "login"),
        ("odd_descriptions", "login"),
    ],
)
def test_a_fault_that_could_never_strike_is_refused(
    control: SimulatorControl, kind: str, endpoint: str
) -> None:
    with pytest.raises(ControlRefused) as refused:
        control.add_fault(kind, endpoint=endpoint)  # type: ignore[arg-type]  # any text on purpose

    assert refused.value.status == 400
