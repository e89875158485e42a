"""``pims clinics``: a clinic is stored as given, and wrong arguments are refused."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

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


def test_a_registered_clinic_is_listed_as_given(pims: Pims) -> None:
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


def test_brackets_in_a_name_are_not_markup(pims: Pims) -> None:
    pims(*add(name="Vets [red]4[/red] pets"))

    assert "Vets [red]4[/red] pets" in pims("clinics", "list").stdout


def test_without_clinics_the_list_says_how_to_add_one(pims: Pims) -> None:
    done = pims("clinics", "list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "pims clinics add" in done.stderr


@pytest.mark.parametrize(
    ("slug", "changed", "message"),
    [
        ("Maple_Street", {}, "not a clinic slug"),
        ("m", {}, "not a clinic slug"),
        ("maple-street", {"timezone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ("maple-street", {"provider": "paper"}, "unknown provider type 'paper'"),
        ("maple-street", {"name": "  "}, "--name is empty"),
        ("maple-street", {"base_url": "clinic.example"}, "not an address"),
        ("maple-street", {"base_url": "https://clinic.example:port"}, "not an address"),
        ("maple-street", {"base_url": "http://clinic.example"}, "use https://"),
        ("maple-street", {"base_url": "https://me:secret@clinic.example"}, "leave them out"),
        ("taken", {}, "a clinic called 'taken' exists already"),
    ],
)
def test_wrong_arguments_are_refused_and_change_nothing(
    pims: Pims, engine: Engine, slug: str, changed: dict[str, str], message: str
) -> None:
    pims(*add("taken"))
    before = everything(engine)
    done = pims(*add(slug, **changed))

    assert done.exit_code == (1 if slug == "taken" else 2)
    assert message in error_line(done)
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
    ("args", "message"),
    [
        (["riverbend", "--inbound", "often"], "--inbound: 'often' is not a cron expression"),
        (["riverbend", "--cases", "61 * * * *"], "--cases: '61 * * * *' is not a cron"),
        (["riverbend", "--reconciliation", ""], "--reconciliation: '' is not a cron"),
        (["riverbend", "--cases", "0 0 30 2 *"], "its day of month is invalid, or never comes"),
        (["riverbend", "--cases", "@daily"], "of five fields"),
        (
            ["riverbend", "--inbound", "0 * * * *", "--cases", "x", "--reconciliation", "y"],
            "; --reconciliation: 'y' is not",
        ),
        (["riverbend", "--days-ahead", "91"], "--days-ahead"),
        (["elsewhere", "--inbound", "0 * * * *"], "unknown clinic 'elsewhere'"),
    ],
    ids=str,
)
def test_a_wrong_schedule_is_refused_and_changes_nothing(
    pims: Pims, registered: str, engine: Engine, args: list[str], message: str
) -> None:
    assert registered == "riverbend"
    before = everything(engine)
    done = pims("clinics", "schedule", *args)

    assert done.exit_code == 2
    assert message in error_line(done)
    assert everything(engine) == before


def test_a_schedule_is_shown_with_its_next_five_ticks(pims: Pims, registered: str) -> None:
    pims("clinics", "schedule", registered, "--inbound= 30  2 * * * ", "--cases=off")
    shown = document(pims("clinics", "schedule", registered, "--json"))

    assert shown["syncSchedules"] == {
        "inbound": "30  2 * * *",
        "cases": "off",
        "reconciliation": "0 2 * * *",
    }
    assert shown["problems"] == {}
    assert shown["nextTicks"]["cases"] == []
    ticks = [datetime.fromisoformat(tick) for tick in shown["nextTicks"]["inbound"]]
    zone = ZoneInfo("America/New_York")
    assert len(set(ticks)) == 5
    # On the day that skips the hour, the tick comes right after the clock change.
    assert {f"{tick.astimezone(zone):%H:%M}" for tick in ticks} <= {"02:30", "03:00"}
    (listed,) = document(pims("clinics", "list", "--json"))["clinics"]
    assert shown == {**listed, "nextTicks": shown["nextTicks"], "problems": {}}

    table = pims("clinics", "schedule", registered).stdout
    lines = [" ".join(line.split()) for line in table.splitlines()]
    expected = [
        f"{tick.astimezone(zone):%a %Y-%m-%d %H:%M %z} {tick:%Y-%m-%d %H:%M}" for tick in ticks
    ]
    assert lines[1:7] == [f"inbound 30 2 * * * {expected[0]}", *expected[1:], "cases off never"]


def test_a_stored_schedule_that_cannot_be_read_is_named(
    pims: Pims, registered: str, engine: Engine
) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE clinic_schedule_configs SET sync_schedules = :stored"),
            {"stored": '{"inbound": 15, "cases": null}'},
        )
    shown = document(pims("clinics", "schedule", registered, "--json"))

    assert shown["syncSchedules"] | {"reconciliation": ""} == {
        "inbound": "15",
        "cases": "off",
        "reconciliation": "",
    }
    assert "'15' is not a cron expression" in shown["problems"]["inbound"]
    assert "'15' is not a cron expression" in pims("clinics", "schedule", registered).stdout
    assert "15" in pims("clinics", "list").stdout


def test_a_deactivated_clinic_has_no_next_ticks(pims: Pims, registered: str) -> None:
    pims("clinics", "deactivate", registered)
    shown = pims("clinics", "schedule", registered)

    assert (shown.exit_code, "deactivated" in shown.stderr) == (0, True)
    assert document(pims("clinics", "schedule", registered, "--json"))["nextTicks"] == {
        "inbound": [],
        "cases": [],
        "reconciliation": [],
    }


def test_a_deactivated_clinic_is_listed_as_such(pims: Pims, registered: str) -> None:
    done = document(pims("clinics", "deactivate", registered, "--json"))

    assert (done["slug"], done["isActive"]) == (registered, False)
    assert document(pims("clinics", "list", "--json")) == {"clinics": [done]}
    assert "riverbend (inactive)" in pims("status").stdout


def test_an_unknown_clinic_cannot_be_deactivated(pims: Pims) -> None:
    done = pims("clinics", "deactivate", "elsewhere")

    assert done.exit_code == 2
    assert "unknown clinic 'elsewhere'; `pims clinics list`" in error_line(done)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://me:S3/cr3t@clinic.example",
        "https://me:S3cr3t@h0rse@clinic.example",
        "https://me:S3cr3t[@clinic.example",
        "https://me:S3?cr3t@clinic.example",
    ],
)
def test_no_part_of_a_password_in_an_address_is_shown(
    pims: Pims, engine: Engine, base_url: str
) -> None:
    before = everything(engine)
    done = pims(*add("maple-street", base_url=base_url))

    assert done.exit_code == 2
    assert not any(piece in done.output for piece in ("S3", "cr3t", "h0rse"))
    assert everything(engine) == before


def test_a_time_zone_is_corrected_and_a_wrong_one_refused(
    pims: Pims, registered: str, engine: Engine
) -> None:
    done = pims("clinics", "timezone", registered, "America/Chicago")
    assert "The time zone of riverbend is America/Chicago." in done.stdout
    [listed] = document(pims("clinics", "list", "--json"))["clinics"]
    assert listed["timezone"] == "America/Chicago"
    before = everything(engine)
    again = document(pims("clinics", "timezone", registered, "America/Chicago", "--json"))
    assert again["timezone"] == "America/Chicago"
    refused = pims("clinics", "timezone", registered, "Chicago")
    assert "use an IANA name" in error_line(refused)
    assert everything(engine) == before
