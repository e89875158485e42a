"""``pims credentials``: the password stays hidden, and a check is a real login."""

import base64
import json
import os
import pty
import secrets
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.invocation import (
    KEY,
    PASSWORD,
    Pims,
    document,
    error_line,
    everything,
    store_login,
)
from pims_pipeline_tests.cli.stored_logins import stored_fields

LOGIN = ("--company-id=1001", "--username=demo")


@pytest.mark.parametrize("typed", ["päss wörd ", "päss wörd \n", "päss wörd \r\n"])
def test_the_password_is_stored_as_piped_but_for_the_end_of_the_line(
    pims: Pims, registered: str, engine: Engine, typed: str
) -> None:
    done = pims("credentials", "set", registered, *LOGIN, "--password-stdin", "--json", typed=typed)

    assert document(done) == {"clinic": registered, "status": "unverified"}
    assert stored_fields(engine, registered) == {
        "company_id": "1001",
        "username": "demo",
        "password": "päss wörd ",
    }


def test_fields_are_given_by_name_too(pims: Pims, registered: str, engine: Engine) -> None:
    words = ("--field=username=demo", "--secret-stdin=password")
    done = pims("credentials", "set", registered, *words, typed="a=b")

    assert done.exit_code == 0, done.output
    assert stored_fields(engine, registered) == {"username": "demo", "password": "a=b"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--field=username"], "--field is written NAME=VALUE"),
        (["--field=hunter 2=x"], "--field is written NAME=VALUE"),
        (["--field=username=a", "--field=username=b"], "--field username is given twice"),
        (["--field=pin=hunter2"], "IDEXX Neo has no credential field 'pin'; it has company_id"),
        (["--secret-stdin=pin"], "IDEXX Neo has no credential field 'pin'; it has company_id"),
        (
            ["--field=password=hunter2"],
            "the credential field 'password' is secret, and other users can see the command line",
        ),
        (["--secret-stdin=username"], "'username' is not secret; give --username"),
        (["--secret-stdin=password"], "'username' (User name) is missing"),
    ],
    ids=str,
)
def test_a_field_in_the_wrong_place_is_named_and_its_value_is_not_shown(
    pims: Pims, registered: str, engine: Engine, words: list[str], message: str
) -> None:
    before = everything(engine)
    done = pims("credentials", "set", registered, *words, typed="hunter2")

    assert done.exit_code == 2
    assert message in error_line(done)
    assert "hunter" not in done.output
    assert everything(engine) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["riverbend"], "--password-stdin"),
        (["riverbend", "--password-stdin"], "standard input was empty"),
        (["elsewhere", "--password-stdin"], "unknown clinic 'elsewhere'"),
    ],
    ids=str,
)
def test_a_login_that_cannot_be_stored_changes_nothing(
    pims: Pims, registered: str, engine: Engine, words: list[str], message: str
) -> None:
    assert registered == "riverbend"
    before = everything(engine)
    done = pims("credentials", "set", *words, *LOGIN, typed="")

    assert done.exit_code == 2
    assert message in error_line(done)
    assert everything(engine) == before


def test_a_typed_password_is_not_shown(
    registered: str, engine: Engine, database_url: str, tmp_path: Path
) -> None:
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.environ.update(
            PIMS_DATABASE_URL=database_url, ENCRYPTION_KEY=KEY, PIMS_HOME=str(tmp_path / "home")
        )
        program = "from pims_pipeline.cli.main import main; main()"
        os.execv(  # noqa: S606 - this interpreter, fixed arguments
            sys.executable,
            [sys.executable, "-c", program, "credentials", "set", registered, *LOGIN],
        )
    shown = b""
    while b"Password: " not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"typed-by-hand\n")
    try:
        while chunk := os.read(terminal, 1024):
            shown += chunk
    except OSError:
        # Linux raises EIO when the other end of the terminal is closed.
        pass
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    assert b"typed-by-hand" not in shown
    assert stored_fields(engine, registered)["password"] == "typed-by-hand"


def test_a_working_login_is_marked_valid_and_its_session_kept(pims: Pims, ready: str) -> None:
    done = pims("credentials", "check", ready, "--json")
    [clinic] = document(pims("status", "--json"))["clinics"]

    checked = document(done)
    description = checked.pop("description")
    assert checked == {"clinic": ready, "status": "valid"}
    assert (description["timezoneMatch"], description["locations"]) == ("not_stated", None)
    guesses = {each["word"]: (each["meaning"], each["basis"]) for each in description["guesses"]}
    assert guesses["Vax"] == ("checkup", "unknown")
    assert guesses["Dental - Surgery"] == ("surgery", "part")
    assert "Recheck" not in guesses
    assert (clinic["credentials"], clinic["session"]["status"]) == ("valid", "stored")


def test_a_vendor_that_does_not_describe_the_clinic_is_a_warning(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    control.add_fault("html", endpoint="dictionary")
    done = pims("credentials", "check", ready)

    assert done.exit_code == 0
    assert done.stdout == f"The login of {ready} works.\n"
    assert "Warning: The vendor does not describe the clinic; syncs do not need it." in done.stderr


def test_words_that_would_be_guessed_are_shown_with_the_command_that_sets_them(
    pims: Pims, ready: str
) -> None:
    assert pims("clinics", "words", ready, "--type", "vax=follow_up").exit_code == 0
    shown = pims("credentials", "check", ready).stderr
    assert "Of these type words the meaning is guessed from a part of each: " in shown
    assert "'Dental - Surgery' (surgery)" in shown
    assert f"If one is wrong: pims clinics words {ready} --type " in shown
    assert "'Vax'" not in shown


def test_a_wrong_password_is_reported_and_marked(pims: Pims, ready: str) -> None:
    store_login(pims, ready, "not-it-at-all")
    done = pims("credentials", "check", ready)
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert f"pims credentials set {ready}" in error_line(done)
    assert "not-it-at-all" not in done.output
    assert (clinic["credentials"], clinic["session"]["status"]) == ("invalid", "none")


def test_a_locked_account_is_marked_as_needing_a_person(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    control.login_mode("1001", "locked")
    done = pims("credentials", "check", ready)
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert "locked" in error_line(done)
    assert clinic["credentials"] == "needs_human"


def test_a_page_to_choose_a_location_is_reported_with_what_to_do_and_a_screenshot(
    pims: Pims, ready: str, control: SimulatorControl, tmp_path: Path
) -> None:
    control.login_mode("1001", "location")
    done = pims("credentials", "check", ready)

    assert done.exit_code == 1
    message = " ".join(error_line(done).split())
    assert "asks to choose a location" in message
    assert "do not log in until this command has succeeded" in message
    [screenshot] = (tmp_path / "home" / "logins").iterdir()
    assert screenshot.name in message
    control.login_mode("1001", "normal")
    assert pims("credentials", "check", ready).stdout == f"The login of {ready} works.\n"


def test_another_site_at_the_address_leaves_the_credentials_as_they_were(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    control.settings(login_page="other_site")
    done = pims("credentials", "check", ready, "--json")

    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "clinic": ready,
        "status": "unverified",
        "error": "ContractViolation",
    }
    assert "check the clinic's base URL" in " ".join(done.stderr.split())


def test_without_a_login_the_check_says_how_to_enter_one(pims: Pims, registered: str) -> None:
    done = pims("credentials", "check", registered)

    assert done.exit_code == 1
    assert f"pims credentials set {registered}" in error_line(done)


def test_with_another_key_the_login_cannot_be_read(pims: Pims, ready: str, engine: Engine) -> None:
    before = everything(engine)
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    done = pims("credentials", "check", ready, ENCRYPTION_KEY=other)

    assert done.exit_code == 1
    assert "ENCRYPTION_KEYS_RETIRED" in error_line(done)
    assert everything(engine) == before


def test_a_browser_that_does_not_start_is_reported_and_the_login_stays_unverified(
    pims: Pims, ready: str, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = pims("credentials", "check", ready, PIMS_CHROMIUM_PATH=str(broken))
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert "PIMS_CHROMIUM_PATH" in error_line(done)
    assert clinic["credentials"] == "unverified"
    assert PASSWORD not in done.output


def test_a_missing_browser_is_reported(pims: Pims, ready: str, tmp_path: Path) -> None:
    done = pims("credentials", "check", ready, PIMS_CHROMIUM_PATH=str(tmp_path / "gone"))

    assert done.exit_code == 1
    assert "PIMS_CHROMIUM_PATH" in error_line(done)
