"""``pims status``: last successes, what is due, what is late; once, for one clinic, or watched."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.cli.invocation import KEY, Pims, document, error_line
from pims_pipeline_tests.cli.processes import TIMEOUT_SECONDS, environment

HOURLY = '{"inbound": "0 * * * *", "cases": "off", "reconciliation": "whenever"}'


def run(engine: Engine, statement: str, **values: object) -> None:
    with transaction(engine) as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def scheduled(registered: str, engine: Engine) -> str:
    """A clinic whose inbound sync is due every hour and last succeeded four hours ago."""
    run(engine, "UPDATE clinic_schedule_configs SET sync_schedules = CAST(:s AS jsonb)", s=HOURLY)
    run(engine, "UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")
    run(engine, "UPDATE clinics SET scheduled_since = now() - interval '9 days'")
    for status, hours in (("completed", 4), ("failed", 2)):
        run(
            engine,
            "INSERT INTO case_sync_audits (clinic_id, sync_type, status, window_start, "
            "window_end, run_id, owner, error_class, error_message, created_at, updated_at) "
            "SELECT id, 'inbound', :status, current_date, current_date, 'r', 1, "
            "'TransientError', 'TransientError: 503', :at, :at FROM clinics",
            status=status,
            at=datetime.now(UTC) - timedelta(hours=hours),
        )
    run(engine, "INSERT INTO schedule_skips SELECT id, 'inbound', 3, now() FROM clinics")
    return registered


def test_json_has_the_status_of_each_phase(pims: Pims, scheduled: str) -> None:
    [clinic] = document(pims("status", "--json"))["clinics"]
    assert clinic["slug"] == scheduled
    inbound = clinic["phases"]["inbound"]
    assert 4 * 3600 <= inbound["ageSeconds"] < 4 * 3600 + 60
    assert (inbound["schedule"], inbound["isLate"], inbound["ticksSkipped"]) == ("on", True, 3)
    due = datetime.fromisoformat(inbound["nextDueAt"])
    assert timedelta() < due - datetime.now(UTC) <= timedelta(hours=1)
    latest = {name: inbound["latest"][name] for name in ("status", "errorClass", "error")}
    assert latest == {
        "status": "failed",
        "errorClass": "TransientError",
        "error": "TransientError: 503",
    }
    off = {"schedule": "off", "nextDueAt": None, "isLate": False, "lastSuccessAt": None}
    off["lastCompletedOrHeldAt"] = None
    assert off.items() <= clinic["phases"]["cases"].items()
    assert clinic["phases"]["reconciliation"]["schedule"] == "malformed"


def test_the_table_has_one_line_per_clinic(pims: Pims, scheduled: str) -> None:
    [_, line] = pims("status").stdout.splitlines()
    columns = re.split(r"  +", line.strip())
    assert columns[:1] + columns[2:] == [
        scheduled,
        "never, off",
        "never, bad schedule",
        *("none", "none", "0", "0", "0", "3"),
    ]
    assert re.fullmatch(r"4 h ago \(failed\), LATE, next (\d\d \w+ )?\d\d:00", columns[1])


def test_an_inactive_clinic_is_never_due(pims: Pims, scheduled: str) -> None:
    assert pims("clinics", "deactivate", scheduled).exit_code == 0
    [_, line] = pims("status").stdout.splitlines()
    assert f"{scheduled} (inactive)  4 h ago (failed)  never  never" in line


def test_one_clinic_only(pims: Pims, scheduled: str, engine: Engine) -> None:
    run(
        engine,
        "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url) "
        "SELECT 'another', name, timezone, provider_type, provider_base_url FROM clinics",
    )
    both = document(pims("status", "--json"))["clinics"]
    assert [clinic["slug"] for clinic in both] == ["another", scheduled]
    [clinic] = document(pims("status", "--json", "--clinic", "another"))["clinics"]
    assert clinic["slug"] == "another"
    assert "unknown clinic 'nowhere'" in error_line(pims("status", "--clinic", "nowhere"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--watch", "--json"], "--watch refreshes a table and --json prints one document"),
        (["--watch", "0"], "is not in the range"),
        (["--watch", "soon"], "is not a valid float"),
    ],
)
def test_invalid_watch_options_are_refused(pims: Pims, options: list[str], message: str) -> None:
    done = pims("status", *options)
    assert done.exit_code == 2
    assert message in error_line(done)


@pytest.mark.usefixtures("scheduled")
def test_watching_refreshes_in_place_until_it_is_stopped(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    terminal, child_end = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - this interpreter, the test's own arguments
        [
            sys.executable,
            "-c",
            "from pims_pipeline.cli.main import main; main()",
            *("status", "--watch", "0.5"),
        ],
        env=environment(
            tmp_path / "home",
            PIMS_DATABASE_URL=database_url,
            ENCRYPTION_KEY=KEY,
            COLUMNS="150",
            TERM="xterm",
        ),
        stdout=child_end,
        stderr=child_end,
    )
    os.close(child_end)
    try:
        shown = _read_until(terminal, "4 h ago")
        run(engine, "UPDATE case_sync_audits SET updated_at = now(), status = 'completed'")
        shown += _read_until(terminal, "just now")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    # The cursor moved up to the start of the table, and nothing failed at the end.
    assert "\x1b[1A" in shown
    assert "Traceback" not in shown


def _read_until(terminal: int, wanted: str) -> str:
    """The output on the terminal, read until it contains ``wanted``."""
    shown, deadline = "", time.monotonic() + TIMEOUT_SECONDS
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(terminal, 4096).decode()
    return shown
