"""``pims credentials``: the password is never seen, its check is a real login, keys change."""

import base64
import json
import os
import pty
import secrets
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, select, text, update

from pims_pipeline.cli.commands.credentials import _progress_shown
from pims_pipeline.composition import open_vault
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.embedded.encryption_key import encryption_key
from pims_pipeline.store.secrets.credentials import put_credentials, read_credentials
from pims_pipeline.store.secrets.rotation import rotate
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import pims_credentials
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
NEW_KEY = base64.b64encode(secrets.token_bytes(32)).decode()
NEW, OLD = Vault.from_base64(NEW_KEY), Vault.from_base64(KEY)
ROTATING = {"ENCRYPTION_KEY": NEW_KEY, "ENCRYPTION_KEYS_RETIRED": KEY}


def stored_fields(engine: Engine, slug: str, vault: Vault = OLD) -> dict[str, str | None]:
    """What is stored of a clinic's login, decrypted."""
    with transaction(engine) as connection:
        clinic: Clinic = clinic_by_slug(connection, slug)
        stored = read_credentials(connection, vault, clinic, purpose="test", run_id=None)
    return dict(stored.fields)


def store_session(engine: Engine, slug: str, vault: Vault = OLD) -> None:
    """Store a session that lasts."""
    expires_at = datetime.now(UTC) + timedelta(hours=8)
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        put_session(connection, vault, clinic, b"cookies=hunter2", expires_at)


def stored_session(engine: Engine, slug: str, vault: Vault) -> bytes | None:
    """What is stored of a clinic's session, decrypted."""
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        stored = read_session(connection, vault, clinic, purpose="test", run_id=None)
    return stored.data if stored else None


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


def test_a_page_to_choose_a_location_is_told_with_what_to_do_and_where_to_look(
    pims: Pims, ready: str, control: SimulatorControl, tmp_path: Path
) -> None:
    control.login_mode("1001", "location")
    done = pims("credentials", "check", ready)

    assert done.exit_code == 1
    told = " ".join(complaint(done).split())
    assert "asks to choose a location" in told
    assert "do not log in until this command has succeeded" in told
    [picture] = (tmp_path / "home" / "logins").iterdir()
    assert picture.name in told
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


def test_a_rotation_leaves_nothing_under_the_retired_key_and_says_so(
    pims: Pims, ready: str, engine: Engine
) -> None:
    store_session(engine, ready)
    done = pims("credentials", "rotate", **ROTATING)

    assert done.exit_code == 0, done.output
    assert f"Re-encrypted with key {NEW.key_id}: 1 login, 1 session." in done.stdout
    assert "ENCRYPTION_KEYS_RETIRED can be emptied" in done.stdout
    assert stored_fields(engine, ready, NEW)["password"] == PASSWORD
    assert stored_session(engine, ready, NEW) == b"cookies=hunter2"
    before = everything(engine)
    again = pims("credentials", "rotate", ENCRYPTION_KEY=NEW_KEY)
    assert again.exit_code == 0, again.output
    assert again.output == (
        f"Nothing to do: all logins and sessions are encrypted with key {NEW.key_id}.\n"
    )
    assert everything(engine) == before


def test_a_rotation_tells_programs_what_it_did(pims: Pims, ready: str, engine: Engine) -> None:
    store_session(engine, ready)

    assert document(pims("credentials", "rotate", "--json", **ROTATING)) == {
        "keyId": NEW.key_id,
        "credentials": 1,
        "sessions": 1,
        "sessionsDropped": 0,
        "complete": True,
        "left": 0,
        "failures": [],
    }


def test_a_login_whose_key_is_gone_is_told_with_what_to_do(
    pims: Pims, ready: str, engine: Engine
) -> None:
    store_session(engine, ready)
    done = pims("credentials", "rotate", ENCRYPTION_KEY=NEW_KEY)
    again = pims("credentials", "rotate", "--json", ENCRYPTION_KEY=NEW_KEY)

    assert (done.exit_code, again.exit_code) == (1, 1)
    assert "1 row cannot be decrypted" in complaint(done)
    assert "Dropped: 1 session." in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith(ready)]
    assert "pims_credentials" in line
    assert f"ENCRYPTION_KEYS_RETIRED, or pims credentials set {ready}" in line
    assert '"reason": "key_gone"' in again.stdout
    assert '"complete": false' in again.stdout
    assert stored_fields(engine, ready, OLD)["password"] == PASSWORD


def test_a_damaged_login_is_told_without_a_word_of_it(
    pims: Pims, ready: str, engine: Engine
) -> None:
    with transaction(engine) as connection:
        envelope = connection.scalars(select(pims_credentials.c.encrypted_data)).one()
        damaged = envelope[:-1] + bytes([envelope[-1] ^ 1])
        connection.execute(update(pims_credentials).values(encrypted_data=damaged))
    before = everything(engine)
    done = pims("credentials", "rotate", **ROTATING)

    assert done.exit_code == 1
    assert "1 row cannot be decrypted" in complaint(done)
    assert "damaged, or of another row" in done.stdout
    assert f"pims credentials set {ready}" in done.stdout
    assert "can be emptied" not in done.stdout
    assert PASSWORD not in done.output
    assert everything(engine) == before


def test_a_process_that_still_writes_under_the_retired_key_is_told(
    pims: Pims, ready: str, engine: Engine
) -> None:
    commits = count(1)

    def with_the_batch(*_: object) -> None:
        # The tables were checked, the rows listed; the third is the one batch.
        if next(commits) == 3:
            store_session(engine, ready, OLD)

    event.listen(Engine, "commit", with_the_batch)
    try:
        done = pims("credentials", "rotate", **ROTATING)
    finally:
        event.remove(Engine, "commit", with_the_batch)

    assert done.exit_code == 1
    assert "1 row came in with another key meanwhile" in complaint(done)
    assert "can be emptied" not in done.stdout
    assert pims("credentials", "rotate", **ROTATING).exit_code == 0


def _sixty_clinics_with_sessions(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url) "
                "SELECT 'many-' || n, 'Many', 'UTC', 'idexx_neo', 'https://clinic.example' "
                "FROM generate_series(1, 60) AS n"
            )
        )
        slugs = connection.scalars(text("SELECT slug FROM clinics")).all()
        for slug in slugs:
            clinic = clinic_by_slug(connection, slug)
            put_credentials(connection, OLD, clinic, {"password": "hunter2"})
            put_session(connection, OLD, clinic, b"cookies", datetime.now(UTC) + timedelta(hours=8))


def test_a_long_rotation_tells_how_far_it_is(pims: Pims, engine: Engine) -> None:
    _sixty_clinics_with_sessions(engine)
    done = pims("credentials", "rotate", "--json", **ROTATING)

    assert done.stderr == "60 of 120 rows done\n"
    assert (document(done)["credentials"], document(done)["sessions"]) == (60, 60)


def test_on_a_terminal_a_bar_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as error:
        monkeypatch.setattr(sys, "stderr", error)
        with _progress_shown() as show:
            show(60, 120)
            show(120, 120)
        print("afterwards", file=error, flush=True)
        shown = b""
        while b"afterwards" not in shown:
            shown += os.read(watched, 4096)
    os.close(watched)

    assert b"120/120" in shown
    assert b"rows done" not in shown


def test_the_embedded_databases_own_key_can_be_exchanged_and_come_back(
    engine: Engine, clinic: Clinic, tmp_path: Path
) -> None:
    own = encryption_key(tmp_path)
    by_file = Settings(home=tmp_path)
    by_variable = Settings(
        home=tmp_path,
        encryption_key=SecretStr(NEW_KEY),
        encryption_keys_retired=(SecretStr(own),),
    )
    back = Settings(home=tmp_path, encryption_keys_retired=(SecretStr(NEW_KEY),))
    with transaction(engine) as connection:
        put_credentials(connection, open_vault(by_file), clinic, {"password": PASSWORD})
    for settings, key in ((by_variable, NEW_KEY), (back, own)):
        done = rotate(engine, open_vault(settings), run_id="test")
        assert (done.credentials, done.is_complete) == (1, True)
        fields = stored_fields(engine, clinic.slug, Vault.from_base64(key))
        assert fields["password"] == PASSWORD
