"""``pims credentials``: the password is never seen, and its check is a real login."""

import base64
import os
import pty
import secrets
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.credentials import read_credentials
from pims_pipeline.store.database import transaction
from pims_pipeline.store.vault import Vault
from pims_pipeline_tests.cli.conftest import (
    KEY,
    PASSWORD,
    Pims,
    complaint,
    document,
    everything,
    store_login,
)

LOGIN = ("--company-id=1001", "--username=demo")


def stored_fields(engine: Engine, slug: str) -> dict[str, str | None]:
    """What is stored of a clinic's login, decrypted."""
    with transaction(engine) as connection:
        clinic: Clinic = clinic_by_slug(connection, slug)
        stored = read_credentials(
            connection, Vault.from_base64(KEY), clinic, purpose="test", run_id=None
        )
    return dict(stored.fields)


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["riverbend"], "--password-stdin"),
        (["riverbend", "--password-stdin"], "standard input was empty"),
        (["elsewhere", "--password-stdin"], "unknown clinic 'elsewhere'"),
    ],
    ids=str,
)
def test_a_login_that_cannot_be_stored_changes_nothing(
    pims: Pims, registered: str, engine: Engine, words: list[str], told: str
) -> None:
    assert registered == "riverbend"
    before = everything(engine)
    done = pims("credentials", "set", *words, *LOGIN, typed="")

    assert done.exit_code == 2
    assert told in complaint(done)
    assert everything(engine) == before


def test_a_person_types_the_password_unseen(
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
        # Linux says so when the other side of a terminal is gone.
        pass
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    assert b"typed-by-hand" not in shown
    assert stored_fields(engine, registered)["password"] == "typed-by-hand"


def test_a_working_login_is_marked_valid_and_its_session_kept(pims: Pims, ready: str) -> None:
    done = pims("credentials", "check", ready, "--json")
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert document(done) == {"clinic": ready, "status": "valid"}
    assert (clinic["credentials"], clinic["session"]["status"]) == ("valid", "stored")


def test_a_wrong_password_is_told_and_marked(pims: Pims, ready: str) -> None:
    store_login(pims, ready, "not-it-at-all")
    done = pims("credentials", "check", ready)
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert f"pims credentials set {ready}" in complaint(done)
    assert "not-it-at-all" not in done.output
    assert (clinic["credentials"], clinic["session"]["status"]) == ("invalid", "none")


def test_a_locked_account_is_told_to_need_a_person(
    pims: Pims, ready: str, control: SimulatorControl
) -> None:
    control.login_mode("1001", "locked")
    done = pims("credentials", "check", ready)
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert "locked" in complaint(done)
    assert clinic["credentials"] == "needs_human"


def test_without_a_login_the_check_says_how_to_enter_one(pims: Pims, registered: str) -> None:
    done = pims("credentials", "check", registered)

    assert done.exit_code == 1
    assert f"pims credentials set {registered}" in complaint(done)


def test_with_another_key_the_login_cannot_be_read(pims: Pims, ready: str, engine: Engine) -> None:
    before = everything(engine)
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    done = pims("credentials", "check", ready, ENCRYPTION_KEY=other)

    assert done.exit_code == 1
    assert "ENCRYPTION_KEYS_RETIRED" in complaint(done)
    assert everything(engine) == before


def test_a_browser_that_does_not_start_is_told_and_the_login_stays_untried(
    pims: Pims, ready: str, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = pims("credentials", "check", ready, PIMS_CHROMIUM_PATH=str(broken))
    [clinic] = document(pims("status", "--json"))["clinics"]

    assert done.exit_code == 1
    assert "PIMS_CHROMIUM_PATH" in complaint(done)
    assert clinic["credentials"] == "unverified"
    assert PASSWORD not in done.output


def test_a_browser_that_is_not_there_is_told(pims: Pims, ready: str, tmp_path: Path) -> None:
    done = pims("credentials", "check", ready, PIMS_CHROMIUM_PATH=str(tmp_path / "gone"))

    assert done.exit_code == 1
    assert "PIMS_CHROMIUM_PATH" in complaint(done)
