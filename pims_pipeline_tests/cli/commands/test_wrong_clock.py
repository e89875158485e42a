"""A host with a wrong clock: commands that store times are refused, `pims status` warns."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

SetClock = Callable[[timedelta], None]

UNKNOWN_ID = "0b6f4bd2-3f5c-5c27-9d6e-6f0f6f1f2a10"


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Sets this host's clock ahead."""

    def ahead(by: timedelta) -> None:
        monkeypatch.setattr(
            "pims_pipeline.store.database.clock.utc_now", lambda: datetime.now(UTC) + by
        )

    return ahead


@pytest.mark.parametrize("by", [timedelta(days=400), timedelta(seconds=-60)], ids=str)
@pytest.mark.parametrize(
    "command",
    [
        ("sync", "full", "--clinic=riverbend"),
        ("sync", "inbound", "--clinic=riverbend", "--json"),
        ("holds", "approve", UNKNOWN_ID),
        ("holds", "reject", UNKNOWN_ID),
        ("failures", "retry", UNKNOWN_ID),
        ("keys", "create", "riverbend", "--name=a client", "--expires=30d"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("ready")
def test_commands_that_store_times_are_refused_with_both_times(
    pims: Pims, engine: Engine, set_clock: SetClock, command: tuple[str, ...], by: timedelta
) -> None:
    set_clock(by)
    before = everything(engine)
    done = pims(*command)
    assert done.exit_code == 1
    line = error_line(done)
    assert f"{datetime.now(UTC) + by:%Y-%m-%d}" in line
    assert f"the database's, which shows {datetime.now(UTC):%Y-%m-%d}" in line
    assert "NTP" in line
    assert everything(engine) == before


def test_status_warns_and_uses_the_databases_clock(
    pims: Pims, ready: str, set_clock: SetClock
) -> None:
    right = document(pims("status", "--json"))
    assert right["clock"] == {"isWrong": False, "secondsAhead": 0}
    set_clock(timedelta(days=400))
    shown = pims("status", f"--clinic={ready}")
    assert shown.exit_code == 0
    assert "no sync starts here" in shown.stderr
    assert "400 days ahead of" in shown.stderr
    wrong = document(pims("status", "--json"))
    assert wrong["clock"] == {"isWrong": True, "secondsAhead": 400 * 86400}
    today = datetime.now(UTC)
    assert datetime.fromisoformat(wrong["timestamp"]) - today < timedelta(minutes=5)
