"""``pims clinics resources``: only known ids are taken, and the effect is shown at once."""

from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.cli.invocation import Pims, document, error_line
from pims_pipeline_tests.domain.records.test_resources import excluding, including

COMPANY = "1001"


def stored(engine: Engine, slug: str) -> ResourceFilter:
    with transaction(engine) as connection:
        return clinic_by_slug(connection, slug).resources


def test_the_vendors_rooms_columns_and_providers_are_shown(pims: Pims, logged_in: str) -> None:
    shown = document(pims("clinics", "resources", logged_in, "--json"))
    rooms = [each for each in shown["resources"] if each["id"].startswith("room:")]
    assert rooms[0] == {
        "id": "room:11",
        "name": "Room 1",
        "isListed": True,
        "appointments": 0,
        "isSynced": True,
    }
    assert (shown["included"], shown["excluded"], shown["leftOut"]) == (None, [], 0)
    table = pims("clinics", "resources", logged_in).stdout
    assert "Dr. Ada Fenwick" in table
    assert f"All appointments of {logged_in} are synced." in table


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--include", "room:11", "--include", "12"], including("room:11", "room:12")),
        (["--exclude", "provider:2"], excluding("provider:2")),
        (["--exclude=13", "--exclude=13"], excluding("room:13")),
    ],
    ids=["include", "exclude", "twice"],
)
def test_a_choice_replaces_the_former_one_and_all_takes_it_back(
    pims: Pims, logged_in: str, engine: Engine, words: list[str], chosen: ResourceFilter
) -> None:
    assert pims("clinics", "resources", logged_in, "--exclude", "room:14").exit_code == 0
    done = document(pims("clinics", "resources", logged_in, *words, "--json"))
    assert stored(engine, logged_in) == chosen
    not_synced = {each["id"] for each in done["resources"] if not each["isSynced"]}
    assert not_synced >= chosen.excluded
    assert not_synced.isdisjoint(chosen.included or ())
    assert pims("clinics", "resources", logged_in, "--all").exit_code == 0
    assert stored(engine, logged_in) == ALL_RESOURCES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--include", "room:99"], "has no 'room:99', so nothing was changed; it has "),
        (["--exclude", "1"], "'1' is ambiguous, so nothing was changed: write column:1 or"),
        (["--exclude", "11", "--all"], "give --include, --exclude or --all"),
        (["--exclude", "11", "--include", "12"], "give --include, --exclude or --all"),
    ],
    ids=str,
)
def test_what_is_unknown_or_contradictory_changes_nothing(
    pims: Pims, logged_in: str, engine: Engine, words: list[str], message: str
) -> None:
    done = pims("clinics", "resources", logged_in, *words)
    assert message in error_line(done)
    assert stored(engine, logged_in) == ALL_RESOURCES


def test_without_the_vendor_a_choice_is_refused_and_all_is_not(
    pims: Pims, ready: str, engine: Engine, logged_in: str, control: SimulatorControl
) -> None:
    assert ready == logged_in
    assert pims("clinics", "resources", logged_in, "--exclude=room:11").exit_code == 0
    control.add_fault("html", endpoint="dictionary", times=None)
    done = pims("clinics", "resources", logged_in, "--exclude=room:12")
    assert "rooms and providers" in error_line(done)
    assert stored(engine, logged_in) == excluding("room:11")
    shown = pims("clinics", "resources", logged_in)
    assert (shown.exit_code, "room:11" in shown.stdout) == (0, True)
    assert "not in the vendor's dictionary" in shown.stdout
    assert "Shown without the vendor's names" in shown.stderr
    assert pims("clinics", "resources", logged_in, "--all").exit_code == 0
    assert stored(engine, logged_in) == ALL_RESOURCES


def test_a_clinic_without_a_login_shows_what_it_can(pims: Pims, registered: str) -> None:
    shown = pims("clinics", "resources", registered)
    assert (shown.exit_code, "No room, column or provider" in shown.stderr) == (0, True)
    assert "pims credentials set" in error_line(
        pims("clinics", "resources", registered, "--include=room:11")
    )


def test_the_effect_is_shown_and_everything_needs_a_further_word(
    pims: Pims, logged_in: str, engine: Engine, control: SimulatorControl
) -> None:
    today = next(each.today for each in control.clinics() if each.company_id == COMPANY)
    calendar = control.appointments(COMPANY, today - timedelta(days=2), today + timedelta(days=2))
    for each in calendar:
        if each.kind == "appointment":
            control.move_to_room(COMPANY, each.id, "Room 1")
    start = datetime.combine(today, time(12))
    other = control.book(COMPANY, start, room="Room 2").id
    assert pims("sync", "inbound", "--clinic", logged_in).exit_code == 0
    wide = document(pims("clinics", "resources", logged_in, "--json"))
    counts = {each["id"]: each["appointments"] for each in wide["resources"]}
    assert (counts["room:11"], counts["room:12"]) == (wide["appointments"] - 1, 1)

    done = pims("clinics", "resources", logged_in, "--include=room:14")
    assert "would be left out, so nothing was changed" in error_line(done)
    assert stored(engine, logged_in) == ALL_RESOURCES

    few = document(pims("clinics", "resources", logged_in, "--include=room:11", "--json"))
    assert (few["leftOut"], few["casesToRetire"], few["isHeld"]) == (1, 1, False)
    many = pims("clinics", "resources", logged_in, "--include=room:12")
    assert "more than the deletion guard allows" in many.stdout
    everything = pims(
        "clinics", "resources", logged_in, "--include=room:14", "--leave-out-everything", "--json"
    )
    assert document(everything)["leftOut"] == wide["appointments"]

    # Taken back before a sync: nothing happened to any case.
    assert pims("clinics", "resources", logged_in, "--include=room:11").exit_code == 0
    result = document(pims("sync", "full", "--clinic", logged_in, "--json"))
    assert result["inboundResult"]["stats"]["leftOut"] == 1
    stats = result["reconciliationResult"]["stats"]
    assert (stats["leftOut"], stats["casesDeleted"]) == (1, 0)
    assert result["reconciliationResult"]["deletedCases"] == []
    listed = document(pims("cases", "list", "--clinic", logged_in, "--json"))["cases"]
    (case,) = (each for each in listed if each["pimsId"] == other)
    shown = pims("cases", "show", case["id"]).stdout
    assert "retired (left_out)" in shown
