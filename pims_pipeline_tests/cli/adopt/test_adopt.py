"""``pims adopt``: what each command prints, and how it ends."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.planted import (
    KEY,
    KEY_VARIABLE,
    LOGIN,
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

DAY = date(2026, 3, 20)
RUN = ("adopt", "run", "--clinic=riverbend", "--schema=theirs", "--base-url=https://pims.example")


@pytest.fixture
def planted(deployed: V4Installation) -> PlantedClinic:
    planted = plant_clinic(deployed, DAY)
    deployed.case(None, "pims-appt-idexx-neo-90", datetime(2026, 3, 20, 15, tzinfo=UTC))
    return planted


def test_inspect_shows_what_is_there_and_changes_nothing(
    pims: Pims, engine: Engine, deployed: V4Installation, planted: PlantedClinic
) -> None:
    before = deployed.checksum(), everything(engine)

    shown = pims("adopt", "inspect", "--schema=theirs")
    found = document(pims("adopt", "inspect", "--schema=theirs", "--json"))

    assert shown.exit_code == 0, shown.output
    assert "deployed layout" in shown.output
    assert "Of no clinic, and not imported: 1 case." in shown.output
    (clinic,) = found["clinics"]
    assert (found["layout"], found["casesWithoutClinic"]) == ("deployed", 1)
    assert (clinic["id"], clinic["slug"], clinic["mode"]) == (str(planted.id), "riverbend", None)
    assert (clinic["importable"], clinic["duplicates"]) == (len(planted.linked), 1)
    assert (clinic["syncsInProgress"], clinic["keyId"]) == (1, "prod")
    assert sum(count["cases"] for count in clinic["cases"]) == 9
    assert clinic["toSay"] == []
    assert (deployed.checksum(), everything(engine)) == before


def test_inspect_works_before_the_database_is_migrated(pims: Pims, empty_database_url: str) -> None:
    with V4Installation(empty_database_url, Layout.DEPLOYED, "public") as theirs:
        plant_clinic(theirs, DAY)
        found = document(pims("adopt", "inspect", "--json", PIMS_DATABASE_URL=empty_database_url))
    assert found["isMigrated"] is False
    assert found["namesTaken"] == [
        "case_sync_audits",
        "cases",
        "clinic_api_keys",
        "clinics",
        "pims_appointments",
    ]


def test_inspect_of_another_database_fails_in_one_line(pims: Pims) -> None:
    assert "no v4.0 installation" in error_line(pims("adopt", "inspect", "--schema=nowhere"))


def test_run_adopts_and_status_shows_it(pims: Pims, engine: Engine, planted: PlantedClinic) -> None:
    foreseen = document(pims(*RUN, "--dry-run", "--json", **{KEY_VARIABLE: KEY}))
    done = document(pims(*RUN, "--json", **{KEY_VARIABLE: KEY}))
    again = pims(*RUN, **{KEY_VARIABLE: KEY})
    status = document(pims("adopt", "status", "--json"))

    assert {**foreseen, "dryRun": False} == done
    assert done["casesImported"] == len(planted.linked)
    assert done["duplicates"][0]["linked"] == str(planted.duplicates[0])
    assert "nothing was changed" in again.output
    (clinic,) = status["clinics"]
    assert (clinic["clinic"], clinic["mode"]) == ("riverbend", "shadow")
    assert clinic["casesLinked"] == len(planted.linked)
    assert [step["step"] for step in clinic["steps"]] == ["run"]
    assert "riverbend  shadow since" in pims("adopt", "status").output
    assert "adopted" in pims("cases", "show", str(planted.plain)).output
    with transaction(engine) as connection:
        details = connection.scalar(
            text("SELECT string_agg(details::text, '') FROM adoption_steps")
        )
    assert "Rex" not in details


@pytest.mark.usefixtures("planted")
def test_run_says_in_one_line_which_key_is_missing_and_shows_no_secret(
    pims: Pims, engine: Engine
) -> None:
    before = everything(engine)
    missing = error_line(pims(*RUN))
    wrong = error_line(pims(*RUN, **{KEY_VARIABLE: "another"}))
    assert "set IDEXX_ENCRYPTION_KEY_PROD or IDEXX_ENCRYPTION_KEY" in missing
    assert f"the value of {KEY_VARIABLE} does not decrypt" in wrong
    assert not any(word in missing + wrong for word in (*LOGIN.values(), "another"))
    assert everything(engine) == before


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    "option", ["--timezone=Mars/Olympus", "--slug=Not A Slug", "--base-url=http://pims.example"]
)
def test_run_refuses_wrong_answers(pims: Pims, option: str) -> None:
    refused = pims(*RUN, option)
    assert refused.exit_code == 2
    assert error_line(refused)


@pytest.mark.usefixtures("planted")
def test_a_mode_is_turned_off_and_on_again(pims: Pims) -> None:
    pims(*RUN, **{KEY_VARIABLE: KEY})

    off = pims("adopt", "mode", "--clinic=riverbend", "off")
    refused = error_line(pims(*RUN, **{KEY_VARIABLE: KEY}))
    listed = document(pims("clinics", "list", "--json"))
    on = pims("adopt", "mode", "--clinic=riverbend", "shadow")

    assert "is now in mode off" in off.output
    assert "is off" in refused
    assert [clinic["isActive"] for clinic in listed["clinics"]] == [False]
    assert "is now in mode shadow" in on.output
    status = document(pims("adopt", "status", "--clinic=riverbend", "--json"))
    assert [step["step"] for step in status["clinics"][0]["steps"]] == ["run", "mode", "mode"]


def test_a_clinic_that_was_not_adopted_has_no_mode(pims: Pims, registered: str) -> None:
    line = error_line(pims("adopt", "mode", f"--clinic={registered}", "off"))
    assert "was not adopted" in line
