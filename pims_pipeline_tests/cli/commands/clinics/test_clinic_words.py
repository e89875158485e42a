"""``pims clinics words``: shows the words seen, and changes what they mean at the next sync."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

COMPANY = "1001"


def used(pims: Pims, slug: str, *options: str) -> dict[tuple[str, str], dict[str, Any]]:
    shown = document(pims("clinics", "words", slug, *options, "--json"))
    return {(each["kind"], each["word"]): each for each in shown["words"]}


def test_the_words_of_the_known_appointments_are_shown_and_a_change_is_applied(
    pims: Pims, logged_in: str, control: SimulatorControl
) -> None:
    assert "No appointment of riverbend is known yet" in pims("clinics", "words", logged_in).output
    today = datetime.now(ZoneInfo("America/New_York")).date()
    noon = datetime.combine(today, time(12))
    booked = control.book(COMPANY, noon, type="Kastration, groß").id
    control.set_status(COMPANY, booked, "Waiting in car")
    dates = ("--clinic", logged_in, "--from", f"{today}", "--to", f"{today}")
    assert pims("sync", "inbound", *dates).exit_code == 0

    before = used(pims, logged_in)
    waiting, neuter = before["status", "Waiting in car"], before["type", "Kastration, groß"]
    assert (waiting["meaning"], waiting["basis"], waiting["appointments"]) == (
        "draft",
        "unknown",
        1,
    )
    assert (neuter["meaning"], neuter["basis"]) == ("checkup", "unknown")
    shown = pims("clinics", "words", logged_in).stdout
    assert "Set what one means: pims clinics words riverbend --status 'Waiting in car=…'" in shown

    set_to = ("--status=waiting-in-car=ongoing", "--type=kastration, GROSS=surgery", "--by=ann")
    changed = pims("clinics", "words", logged_in, *set_to)
    assert "2 of the words of riverbend changed. The next sync of a date applies" in changed.stdout
    waiting = used(pims, logged_in)["status", "Waiting in car"]
    assert (waiting["basis"], waiting["changedBy"]) == ("clinic", "ann")
    assert document(pims("clinics", "words", logged_in, *set_to, "--json"))["changed"] == 0

    result = document(pims("sync", "inbound", *dates, "--json"))
    assert result["stats"]["casesUpdated"] == 1
    [case] = [
        each
        for each in document(pims("cases", "list", *dates[:2], f"--date={today}", "--json"))[
            "cases"
        ]
        if each["pimsId"] == booked
    ]
    assert (case["status"], case["caseType"]) == ("ongoing", "surgery")


def test_a_word_of_the_clinic_s_own_is_shown_before_it_is_seen_and_can_be_removed(
    pims: Pims, registered: str
) -> None:
    assert pims("clinics", "words", registered, "--type", "TPLO=surgery").exit_code == 0
    own = used(pims, registered)["type", "tplo"]
    assert (own["meaning"], own["appointments"], own["lastDate"]) == ("surgery", 0, None)
    assert used(pims, registered, "--remove-type", "Tplo") == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--status", "waiting"], "write WORD=MEANING, with one of draft, ongoing, completed"),
        (["--status", "waiting=surgery"], "'waiting=surgery' is no status word with a meaning"),
        (["--type", " =surgery"], "with one of checkup, surgery, emergency, follow_up"),
        (["--remove-status", " "], "has no word, so nothing was changed"),
        (["--remove-status", "waiting"], "no status word 'waiting' of its own"),
        (["--type", "a=surgery", "--type", "A=checkup"], "'a' is given twice"),
        (["--type", f"{'a' * 201}=surgery"], "longer than 200 characters"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_in_one_line_and_changes_nothing(
    pims: Pims, registered: str, engine: Engine, options: list[str], message: str
) -> None:
    before = everything(engine)
    assert message in error_line(pims("clinics", "words", registered, *options))
    assert everything(engine) == before
