"""Ctrl-C and SIGTERM end a sync during any wait, as a real process and over real HTTP.

The timeouts that would also end the wait are an hour and more.
"""

import signal
import tempfile
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Engine, select, text

from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.syncs import case_sync_audits
from pims_pipeline_tests.cli.invocation import KEY
from pims_pipeline_tests.cli.processes import interrupted, started, until

LONG_TIMEOUTS = {
    "PIMS_REQUEST_TIMEOUT_SECONDS": "3600",
    "PIMS_CLINIC_TIMEOUT_SECONDS": "86400",
}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGINT, "drip"),
        (signal.SIGTERM, "rate_limited"),
        (signal.SIGHUP, "hang"),
    ],
    ids=[
        "Ctrl-C in a response that drips",
        "SIGTERM in a wait that the vendor requested",
        "a terminal that closes while nothing comes",
    ],
)
def test_a_stopped_sync_ends_during_its_wait(
    logged_in: str,
    engine: Engine,
    database_url: str,
    control: SimulatorControl,
    tmp_path: Path,
    *,
    number: signal.Signals,
    kind: str,
) -> None:
    control.add_fault(kind, endpoint="listing", times=None, retry_after=59)
    before = control.stats().requests.get("listing", 0)
    words = ("sync", "inbound", "--clinic", logged_in)
    address = {"PIMS_DATABASE_URL": database_url, "ENCRYPTION_KEY": KEY}
    with started(tmp_path / "home", *words, **address, **LONG_TIMEOUTS) as process:
        until(lambda: control.stats().requests.get("listing", 0) > before, process)
        status, _, err, alive = interrupted(process, number)

    assert (status, alive) == (1, [])
    assert err.splitlines()[-1] == (
        f"Error: the sync of {logged_in} failed: it was stopped; the next sync does what was left"
    )
    with transaction(engine) as connection:
        audits = connection.scalars(select(case_sync_audits.c.status)).all()
    assert audits == [AuditStatus.INTERRUPTED]


def test_a_stopped_sync_does_not_wait_for_another_sessions_lock(
    logged_in: str, engine: Engine, database_url: str, tmp_path: Path
) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    words = ("sync", "inbound", "--clinic", logged_in)
    address = {"PIMS_DATABASE_URL": database_url, "ENCRYPTION_KEY": KEY}
    with engine.connect() as watcher, engine.connect() as other, other.begin():
        other.execute(text("LOCK TABLE cases IN SHARE MODE"))
        # Each read needs its own transaction to see new rows.
        reader = watcher.execution_options(isolation_level="AUTOCOMMIT")
        with started(tmp_path / "home", *words, **address, **LONG_TIMEOUTS) as process:
            until(lambda: bool(reader.scalar(waiting)), process)
            status, _, _, alive = interrupted(process)

    assert (status, alive) == (1, [])
    with transaction(engine) as connection:
        audits = connection.scalars(select(case_sync_audits.c.status)).all()
    assert audits == [AuditStatus.INTERRUPTED]


def test_a_stopped_sync_ends_during_a_login(
    ready: str, engine: Engine, database_url: str, control: SimulatorControl, tmp_path: Path
) -> None:
    control.add_fault("drip", endpoint="login", times=None)
    before = control.stats().requests.get("login_page", 0)
    words = ("sync", "inbound", "--clinic", ready)
    address = {"PIMS_DATABASE_URL": database_url, "ENCRYPTION_KEY": KEY}
    with started(tmp_path / "home", *words, **address, **LONG_TIMEOUTS) as process:
        until(lambda: control.stats().requests.get("login_page", 0) > before, process)
        status, _, _, alive = interrupted(process)

    assert (status, alive) == (1, [])
    with transaction(engine) as connection:
        audits = connection.scalars(select(case_sync_audits.c.status)).all()
    assert audits == [AuditStatus.INTERRUPTED]


@pytest.mark.parametrize(
    ("endpoint", "number"),
    [("login", signal.SIGTERM), ("login", signal.SIGHUP), ("listing", signal.SIGINT)],
    ids=[
        "SIGTERM at the login page",
        "a terminal that closes at the login page",
        "Ctrl-C at the first request",
    ],
)
def test_a_stopped_check_of_credentials_ends_during_any_wait(
    ready: str,
    database_url: str,
    control: SimulatorControl,
    tmp_path: Path,
    *,
    endpoint: Literal["login", "listing"],
    number: signal.Signals,
) -> None:
    control.add_fault("drip", endpoint=endpoint, times=None)
    name = {"login": "login_page", "listing": "listing"}[endpoint]
    before = control.stats().requests.get(name, 0)
    address = {"PIMS_DATABASE_URL": database_url, "ENCRYPTION_KEY": KEY}
    words = ("credentials", "check", ready)
    with (
        # A browser's sockets have short paths, and pytest's own are long.
        tempfile.TemporaryDirectory(prefix="s-") as scratch,
        started(tmp_path / "home", *words, TMPDIR=scratch, **address, **LONG_TIMEOUTS) as process,
    ):
        until(lambda: control.stats().requests.get(name, 0) > before, process)
        status, _, err, alive = interrupted(process, number)
        left = list(Path(scratch).iterdir())

    assert (status, alive) == (1, [])
    assert err.splitlines()[-1] == "Aborted!"
    assert left == []
