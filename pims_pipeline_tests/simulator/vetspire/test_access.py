"""Keys, locations, and how a request is read."""

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    VETSPIRE_CLINICS,
    SimulatedClinic,
    SimulatorConfig,
    on_vetspire,
)
from pims_pipeline.simulator.state import build_simulator
from pims_pipeline.simulator.vendors.vetspire.schema import MAX_DEPTH
from pims_pipeline_tests.simulator.http_client import TODAY, new_client, try_login
from pims_pipeline_tests.simulator.vetspire.graphql_client import (
    AUCKLAND,
    CATS,
    CHICAGO,
    LISTING,
    LOOKUP,
    Vetspire,
    vetspire_client,
    window,
)

LOCATIONS = "{ locations { id name timezone } }"


@pytest.mark.parametrize("key", ["", "wrong", f"Bearer {CHICAGO.api_key}", f"{CHICAGO.api_key}x"])
def test_anything_but_the_bare_key_is_forbidden(base_url: str, key: str) -> None:
    with vetspire_client(base_url, key) as stranger:
        assert stranger.send(LOCATIONS).status_code == 403


def test_a_request_without_a_key_is_forbidden(base_url: str) -> None:
    with new_client(base_url) as stranger:
        assert stranger.post("/graphql", json={"query": LOCATIONS}).status_code == 403


def test_a_key_opens_the_locations_of_its_organisation(base_url: str, juniper: Vetspire) -> None:
    assert [each["id"] for each in juniper.ask(LOCATIONS)["locations"]] == ["2001", "2002"]
    with vetspire_client(base_url, AUCKLAND.api_key) as kowhai:
        assert kowhai.ask(LOCATIONS)["locations"] == [
            {"id": "2003", "name": "Kowhai Street Vets", "timezone": "Pacific/Auckland"}
        ]


@pytest.mark.parametrize("location", ["2003", "1001", "7"])
def test_a_key_does_not_open_other_locations(juniper: Vetspire, location: str) -> None:
    response = juniper.send(LISTING, loc=location, **window(CHICAGO.zone, TODAY)).json()

    assert response["data"] == {"appointments": None}
    assert response["errors"][0]["message"] == "Unauthorized"


def test_a_location_that_the_key_does_not_open_may_look_empty(
    juniper: Vetspire, control: SimulatorControl
) -> None:
    control.settings(foreign_location="empty")
    today = window(CHICAGO.zone, TODAY)

    assert juniper.ask(LISTING, loc="2003", **today) == {"appointments": []}
    encounters = '{ encounters(locationIds: ["2003"]) { id } }'
    assert juniper.ask(encounters) == {"encounters": []}
    assert juniper.day(CHICAGO, TODAY)


def test_records_of_one_organisation_have_ids_of_their_own(juniper: Vetspire) -> None:
    ids = {clinic: {row["id"] for row in juniper.day(clinic, TODAY)} for clinic in (CHICAGO, CATS)}

    assert all(ids.values())
    assert not ids[CHICAGO] & ids[CATS]


def test_without_a_location_every_location_is_listed(juniper: Vetspire) -> None:
    query = "query ($start: DateTime) { appointments(start: $start) { location { id } } }"

    rows = juniper.ask(query, start=f"{TODAY}T00:00:00Z")["appointments"]

    assert {row["location"]["id"] for row in rows} == {"2001", "2002"}


def test_neo_does_not_know_the_clinics_of_vetspire(base_url: str) -> None:
    with new_client(base_url) as client:
        assert "is wrong" in try_login(client, "2001").text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ locations { id ", "Syntax Error"),
        ("{ locations { id secret } }", "Cannot query field 'secret'"),
        ('mutation { deleteAppointment(id: "1") { id } }', "mutation"),
        ('{ appointments(start: "2026-03-11T00:00:00") { id } }', "with an offset"),
        ('{ appointments(updatedAtStart: "2026-03-11T00:00:00Z") { id } }', "without a zone"),
        ("{ appointments(offset: -1) { id } }", "offset at least 0"),
    ],
)
def test_what_is_wrong_with_a_query_comes_as_errors(
    juniper: Vetspire, query: str, message: str
) -> None:
    response = juniper.send(query)

    assert response.status_code == 200
    assert message in response.json()["errors"][0]["message"]


def test_a_query_may_be_eight_levels_deep(juniper: Vetspire) -> None:
    in_turn = ["encounters", "appointment"]
    fields = [in_turn[level % 2] for level in range(MAX_DEPTH)]

    eight, nine = (" { ".join(["", *fields[:levels], "id"]) + " }" * levels for levels in (7, 8))
    assert "errors" not in juniper.send(eight + " }").json()
    refused = juniper.send(nine + " }").json()
    assert refused["data"] is None
    assert "9 levels deep; at most 8" in refused["errors"][0]["message"]


def test_fragments_count_as_deep_as_what_they_hold(juniper: Vetspire) -> None:
    query = """{ encounters { ...one } }
      fragment one on Encounter { appointment { encounters { ...two } } }
      fragment two on Encounter { appointment { encounters { appointment { encounters {
        ... on Encounter { appointment { id } } } } } } }"""

    assert "9 levels deep" in juniper.send(query).json()["errors"][0]["message"]


def test_a_body_without_a_query_is_a_bad_request(juniper: Vetspire) -> None:
    assert juniper.http.post("/graphql", content=b"[]").status_code == 400
    assert juniper.http.get("/graphql").status_code == 405


@pytest.mark.parametrize(
    ("clinics", "reason"),
    [
        ((on_vetspire(DEFAULT_CLINICS[0], ""),), "has no API key"),
        (tuple(on_vetspire(each, "one") for each in DEFAULT_CLINICS[:2]), "shares its key and ids"),
    ],
)
def test_clinics_that_cannot_be_played_are_refused(
    clinics: tuple[SimulatedClinic, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        build_simulator(SimulatorConfig(clinics=clinics))


def test_keys_are_not_shown() -> None:
    assert not any(each.api_key in repr(each) for each in VETSPIRE_CLINICS)


def test_a_lookup_finds_a_record_of_any_location_of_the_key(juniper: Vetspire) -> None:
    wanted = juniper.day(CATS, TODAY)[0]

    found = juniper.ask(LOOKUP, id=wanted["id"])["appointment"]

    assert found["location"] == {"id": CATS.company_id}
