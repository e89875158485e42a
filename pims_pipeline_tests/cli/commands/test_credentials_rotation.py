"""``pims credentials rotate``: every row gets the new key, and the others are reported."""

import base64
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

from pims_pipeline.cli.commands.credentials_rotation import _progress_shown
from pims_pipeline.composition import open_vault
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.settings import Settings
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.embedded.encryption_key import encryption_key
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.rotation import rotate
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import pims_credentials
from pims_pipeline_tests.cli.invocation import (
    KEY,
    PASSWORD,
    Pims,
    document,
    error_line,
    everything,
)
from pims_pipeline_tests.cli.stored_logins import OLD, store_session, stored_fields, stored_session

NEW_KEY = base64.b64encode(secrets.token_bytes(32)).decode()
NEW = Vault.from_base64(NEW_KEY)
ROTATING = {"ENCRYPTION_KEY": NEW_KEY, "ENCRYPTION_KEYS_RETIRED": KEY}


def test_a_rotation_leaves_nothing_under_the_retired_key_and_says_so(
    pims: Pims, ready: str, engine: Engine
) -> None:
    store_session(engine, ready)
    done = pims("credentials", "rotate", **ROTATING)

    assert done.exit_code == 0, done.output
    assert f"Re-encrypted with key {NEW.key_id}: 1 login, 1 session, 0 webhooks." in done.stdout
    assert "ENCRYPTION_KEYS_RETIRED can be emptied" in done.stdout
    assert stored_fields(engine, ready, NEW)["password"] == PASSWORD
    assert stored_session(engine, ready, NEW) == b"cookies=hunter2"
    before = everything(engine)
    again = pims("credentials", "rotate", ENCRYPTION_KEY=NEW_KEY)
    assert again.exit_code == 0, again.output
    assert again.output == (
        f"Nothing to do: all logins, sessions and webhooks are encrypted with key {NEW.key_id}.\n"
    )
    assert everything(engine) == before


def test_a_rotation_reports_its_counts_as_json(pims: Pims, ready: str, engine: Engine) -> None:
    store_session(engine, ready)

    assert document(pims("credentials", "rotate", "--json", **ROTATING)) == {
        "keyId": NEW.key_id,
        "credentials": 1,
        "sessions": 1,
        "webhooks": 0,
        "sessionsDropped": 0,
        "complete": True,
        "left": 0,
        "failures": [],
    }


def test_a_login_whose_key_is_gone_is_reported_with_what_to_do(
    pims: Pims, ready: str, engine: Engine
) -> None:
    store_session(engine, ready)
    done = pims("credentials", "rotate", ENCRYPTION_KEY=NEW_KEY)
    again = pims("credentials", "rotate", "--json", ENCRYPTION_KEY=NEW_KEY)

    assert (done.exit_code, again.exit_code) == (1, 1)
    assert "1 row cannot be decrypted" in error_line(done)
    assert "Dropped: 1 session." in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith(ready)]
    assert "pims_credentials" in line
    assert f"ENCRYPTION_KEYS_RETIRED, or pims credentials set {ready}" in line
    assert '"reason": "key_gone"' in again.stdout
    assert '"complete": false' in again.stdout
    assert stored_fields(engine, ready, OLD)["password"] == PASSWORD


def test_a_damaged_login_is_reported_without_its_content(
    pims: Pims, ready: str, engine: Engine
) -> None:
    with transaction(engine) as connection:
        envelope = connection.scalars(select(pims_credentials.c.encrypted_data)).one()
        damaged = envelope[:-1] + bytes([envelope[-1] ^ 1])
        connection.execute(update(pims_credentials).values(encrypted_data=damaged))
    before = everything(engine)
    done = pims("credentials", "rotate", **ROTATING)

    assert done.exit_code == 1
    assert "1 row cannot be decrypted" in error_line(done)
    assert "damaged, or copied from another row" in done.stdout
    assert f"pims credentials set {ready}" in done.stdout
    assert "can be emptied" not in done.stdout
    assert PASSWORD not in done.output
    assert everything(engine) == before


def test_a_process_that_still_writes_under_the_retired_key_is_reported(
    pims: Pims, ready: str, engine: Engine
) -> None:
    commits = count(1)

    def with_the_batch(*_: object) -> None:
        # The first two commits check the tables and list the rows; the third is the batch.
        if next(commits) == 3:
            store_session(engine, ready, OLD)

    event.listen(Engine, "commit", with_the_batch)
    try:
        done = pims("credentials", "rotate", **ROTATING)
    finally:
        event.remove(Engine, "commit", with_the_batch)

    assert done.exit_code == 1
    assert "1 row came in with another key during the rotation" in error_line(done)
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


def test_a_long_rotation_reports_its_progress(pims: Pims, engine: Engine) -> None:
    _sixty_clinics_with_sessions(engine)
    done = pims("credentials", "rotate", "--json", **ROTATING)

    assert done.stderr == "60 of 120 rows done\n"
    assert (document(done)["credentials"], document(done)["sessions"]) == (60, 60)


def test_on_a_terminal_a_bar_shows_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_embedded_databases_own_key_can_be_replaced_and_restored(
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
