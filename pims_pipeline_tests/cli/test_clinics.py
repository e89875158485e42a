"""``pims clinics``: what is registered stays as it was typed, and nonsense is refused."""

import pytest
from sqlalchemy import Engine

from pims_pipeline_tests.cli.conftest import Pims, complaint, document, everything

ADD = {
    "--name": "Maple Street",
    "--timezone": "Europe/London",
    "--provider": "idexx_neo",
    "--base-url": "https://clinic.example/",
}


def add(slug: str = "maple-street", **changed: str) -> list[str]:
    """The words that register a clinic, some options changed."""
    options = {**ADD, **{f"--{name.replace('_', '-')}": value for name, value in changed.items()}}
    return ["clinics", "add", slug, *(f"{name}={value}" for name, value in options.items())]


def test_a_registered_clinic_is_listed_as_it_was_typed(pims: Pims) -> None:
    added = document(pims(*add(), "--json"))
    listed = document(pims("clinics", "list", "--json"))

    assert listed == {"clinics": [added]}
    assert added | {"id": ""} == {
        "id": "",
        "slug": "maple-street",
        "name": "Maple Street",
        "timezone": "Europe/London",
        "providerType": "idexx_neo",
        "providerBaseUrl": "https://clinic.example",
        "isActive": True,
        "syncSchedules": {
            "inbound": "*/15 * * * *",
            "cases": "0 */2 * * *",
            "reconciliation": "0 2 * * *",
        },
        "daysAhead": 7,
        "lookbackDays": 7,
        "parallelBatchSize": 5,
    }


def test_brackets_in_a_name_are_no_markup(pims: Pims) -> None:
    pims(*add(name="Vets [red]4[/red] pets"))

    assert "Vets [red]4[/red] pets" in pims("clinics", "list").stdout


def test_without_clinics_the_list_says_how_to_add_one(pims: Pims) -> None:
    done = pims("clinics", "list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "pims clinics add" in done.stderr


@pytest.mark.parametrize(
    ("slug", "changed", "told"),
    [
        ("Maple_Street", {}, "not a clinic slug"),
        ("m", {}, "not a clinic slug"),
        ("maple-street", {"timezone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ("maple-street", {"provider": "paper"}, "'paper' is not"),
        ("maple-street", {"name": "  "}, "--name is empty"),
        ("maple-street", {"base_url": "clinic.example"}, "not an address"),
        ("maple-street", {"base_url": "https://clinic.example:port"}, "Port"),
        ("maple-street", {"base_url": "http://clinic.example"}, "use https://"),
        ("maple-street", {"base_url": "https://me:secret@clinic.example"}, "leave them out"),
        ("taken", {}, "a clinic called 'taken' exists already"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(
    pims: Pims, engine: Engine, slug: str, changed: dict[str, str], told: str
) -> None:
    pims(*add("taken"))
    before = everything(engine)
    done = pims(*add(slug, **changed))

    assert done.exit_code == (1 if slug == "taken" else 2)
    assert told in complaint(done)
    assert "secret" not in done.output
    assert everything(engine) == before


def test_a_schedule_changes_what_is_given_and_keeps_the_rest(pims: Pims, registered: str) -> None:
    pims("clinics", "schedule", registered, "--cases", "5 * * * *", "--lookback-days=14")
    changed = document(
        pims("clinics", "schedule", registered, "--inbound", "*/10 7-19 * * *", "--json")
    )

    assert changed["syncSchedules"] == {
        "inbound": "*/10 7-19 * * *",
        "cases": "5 * * * *",
        "reconciliation": "0 2 * * *",
    }
    assert (changed["lookbackDays"], changed["daysAhead"]) == (14, 7)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["riverbend", "--inbound", "often"], "--inbound: 'often' is not a cron expression"),
        (["riverbend", "--cases", "61 * * * *"], "--cases: '61 * * * *' is not a cron"),
        (["riverbend", "--reconciliation", ""], "--reconciliation: '' is not a cron"),
        (["riverbend", "--days-ahead", "15"], "--days-ahead"),
        (["riverbend"], "nothing to change"),
        (["elsewhere", "--inbound", "0 * * * *"], "unknown clinic 'elsewhere'"),
    ],
    ids=str,
)
def test_a_wrong_schedule_is_refused_and_changes_nothing(
    pims: Pims, registered: str, engine: Engine, args: list[str], told: str
) -> None:
    assert registered == "riverbend"
    before = everything(engine)
    done = pims("clinics", "schedule", *args)

    assert done.exit_code == 2
    assert told in complaint(done)
    assert everything(engine) == before


def test_a_deactivated_clinic_is_listed_as_such(pims: Pims, registered: str) -> None:
    done = document(pims("clinics", "deactivate", registered, "--json"))

    assert (done["slug"], done["isActive"]) == (registered, False)
    assert document(pims("clinics", "list", "--json")) == {"clinics": [done]}
    assert "riverbend (inactive)" in pims("status").stdout


def test_an_unknown_clinic_cannot_be_deactivated(pims: Pims) -> None:
    done = pims("clinics", "deactivate", "elsewhere")

    assert done.exit_code == 2
    assert "unknown clinic 'elsewhere'; `pims clinics list`" in complaint(done)
