"""What the client makes of responses that the simulator cannot play."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from pims_pipeline.providers.http.rate_limit import bucket_for
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.providers.vetspire.client import PER_SECOND, ReportedErrors, VetspireClient
from pims_pipeline.providers.vetspire.consultations import Consultations
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server

KEY = "s3cret-key"


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


def client_of(server: OddServer, per_second: float | None = 1000) -> VetspireClient:
    options = RequestOptions(per_second=per_second, retry_base_delay=0.001)
    return VetspireClient(
        f"{server.base_url}/graphql", KEY, options, clock=utc_now, stop=StopSignal()
    )


@pytest.fixture
def client(server: OddServer) -> Iterator[VetspireClient]:
    with closing(client_of(server)) as running:
        yield running


def body(**content: object) -> Response:
    return Response(200, json.dumps(content).encode())


def errors(*messages: str) -> Response:
    return body(data=None, errors=[{"message": each} for each in messages])


def ask(client: VetspireClient) -> object:
    return client.query("query { locations { id } }", {}, what="the locations")


def test_the_key_is_sent_bare(server: OddServer, client: VetspireClient) -> None:
    server.responses = [body(data={"locations": []})]

    assert ask(client) == {"locations": []}
    assert server.headers[0]["authorization"] == KEY
    assert server.paths == ["/graphql"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again(
    server: OddServer, client: VetspireClient, status: int
) -> None:
    server.responses = [Response(status, b"Forbidden", "text/html")]

    with pytest.raises(SessionExpired) as raised:
        ask(client)

    assert KEY not in str(raised.value)
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (Response(302, b"", headers={"Location": "/login"}), ContractViolation),
        (Response(404, b"{}"), ContractViolation),
        (Response(400, b'{"errors": [{"message": "no query"}]}'), ContractViolation),
        (Response(200, b"<html>maintenance</html>", "text/html"), ContractViolation),
        (Response(200, b'no "errors" of ours', "text/plain"), ContractViolation),
        (Response(200, b"[]"), ContractViolation),
        (Response(200, b"{}"), ContractViolation),
        (Response(200, b'{"data": null}'), ContractViolation),
        (Response(200, b'{"data": [1]}'), ContractViolation),
        (Response(200, b'{"data": {"locations": [{"id"'), TransientError),
        (Response(500, b""), TransientError),
        (Response(502, b""), TransientError),
        (Response(429, b"{}"), TransientError),
    ],
)
def test_what_is_no_data_is_an_error(
    server: OddServer,
    client: VetspireClient,
    response: Response,
    error: type[Exception],
) -> None:
    server.responses = [response]

    with pytest.raises(error) as raised:
        ask(client)

    assert type(raised.value) is error
    assert len(server.paths) == (4 if error is TransientError else 1)


@pytest.mark.parametrize(
    "reported", [[{"message": "Bella is ill"}], {"message": "Bella"}, "Bella", [None], [{}], True]
)
def test_data_beside_errors_is_dropped_and_no_message_is_shown(
    server: OddServer, client: VetspireClient, reported: object
) -> None:
    server.responses = [body(data={"locations": [{"id": "7"}]}, errors=reported)]

    with pytest.raises(ReportedErrors) as raised:
        ask(client)

    assert "Bella" not in str(raised.value)
    assert not raised.value.all_unknown


@pytest.mark.parametrize(
    "message",
    ["Internal server error", "Request timed out", "timeout", "Service temporarily unavailable"],
)
def test_a_reported_error_that_may_pass_is_tried_again(
    server: OddServer, client: VetspireClient, message: str
) -> None:
    server.responses = [
        body(data={"locations": [{"id": "8"}]}, errors=[{"message": message}]),
        body(data={"locations": []}),
    ]

    assert ask(client) == {"locations": []}

    server.responses = [errors("Appointment not found", message)]
    with pytest.raises(TransientError):
        ask(client)
    assert len(server.paths) == 2 + 4


@pytest.mark.parametrize("none", [None, [], {}, ""])
def test_an_empty_list_of_errors_is_none(
    server: OddServer, client: VetspireClient, none: object
) -> None:
    server.responses = [body(data={"locations": []}, errors=none)]

    assert ask(client) == {"locations": []}


@pytest.mark.parametrize(
    "messages",
    [
        ["Appointment not found"],
        ["NOT_FOUND", "No such appointment"],
        ["Appointment with id '7f-12' does not exist"],
        ["Couldn't find encounter 12"],
        ["unknown id"],
    ],
)
def test_an_error_may_say_that_a_record_does_not_exist(
    server: OddServer, client: VetspireClient, messages: list[str]
) -> None:
    server.responses = [errors(*messages)]

    with pytest.raises(ReportedErrors) as raised:
        ask(client)

    assert raised.value.all_unknown


@pytest.mark.parametrize(
    "messages",
    [
        ["Appointment not found", "Resolver crashed"],
        ["Resolver crashed"],
        ["Unauthorized"],
        ["Unknown error"],
        ["Location not found"],
        ["Appointment not found in this session"],
        ["Appointment found"],
        [""],
    ],
)
def test_no_other_error_says_so(
    server: OddServer, client: VetspireClient, messages: list[str]
) -> None:
    server.responses = [errors(*messages)]

    with pytest.raises(ReportedErrors) as raised:
        ask(client)

    assert not raised.value.all_unknown


def test_fields_of_another_shape_than_assumed_are_left_out_from_then_on(
    server: OddServer, client: VetspireClient
) -> None:
    refusal = errors('Field "medications" must not have a selection')
    server.responses = [refusal, body(data={"r0": {"id": "1"}}), body(data={"r0": {"id": "2"}})]
    consultations = Consultations(client)

    assert consultations.one("1") == {"id": "1"}
    assert consultations.one("2") == {"id": "2"}
    assert len(server.paths) == 3


def test_other_errors_leave_no_field_out(server: OddServer, client: VetspireClient) -> None:
    server.responses = [errors("Resolver crashed"), body(data={"r0": None})]
    consultations = Consultations(client)

    with pytest.raises(ReportedErrors):
        consultations.one("1")
    assert consultations.one("1") is None
    assert len(server.paths) == 2


def test_one_key_has_one_rate_of_five_a_second_unless_the_options_name_one(
    server: OddServer,
) -> None:
    with closing(client_of(server, None)) as one, closing(client_of(server, None)) as other:
        bucket = one._exchange._bucket
        assert bucket is other._exchange._bucket
        assert bucket.rate == PER_SECOND == 5
    with closing(client_of(server, 2)) as slower:
        assert slower._exchange._bucket is bucket
        assert bucket.rate == 2
    assert bucket_for("another account", 1000) is not bucket
