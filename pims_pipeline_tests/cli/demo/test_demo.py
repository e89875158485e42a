"""``pims demo``: its days, its checks, and its cleanup."""

import re
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.cli.demo.changes import fields
from pims_pipeline.cli.demo.clinics import DEMO_SLUGS
from pims_pipeline.cli.demo.scenario import DAYS, demo_period
from pims_pipeline.setting_areas import default_partition_start
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, DEMO_CLINICS
from pims_pipeline_tests.cli.processes import (
    TIMEOUT_SECONDS,
    command_line,
    database_runs,
    descendants,
    interrupted,
    own_home,
    started,
    until,
)

ZONES = [each.timezone for each in DEFAULT_CLINICS]
SYDNEY = ZoneInfo("Australia/Sydney")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for the demonstrations of this module."""
    with own_home() as home:
        yield home


def midnight_offset(zone: str, day: date) -> timedelta | None:
    return datetime.combine(day, time(), ZoneInfo(zone)).utcoffset()


@given(st.dates(date(2024, 1, 1), date(2037, 12, 31)))
def test_the_days_played_are_past_hold_a_clock_change_and_have_partitions(today: date) -> None:
    period = demo_period(ZONES, today)
    window = period.window

    assert len(window) == DAYS
    assert default_partition_start(today) <= window.start
    assert window.end < today
    assert window.start < period.vendor_today < window.end
    assert period.clock_changes
    for day, zone in period.clock_changes.items():
        assert day in window
        assert midnight_offset(zone, day) != midnight_offset(zone, day + timedelta(days=1))


def test_the_days_of_a_date_are_always_the_same() -> None:
    period = demo_period(ZONES, date(2026, 11, 22))

    assert str(period.window) == "2026-10-22..2026-11-05"
    assert dict(period.clock_changes) == {
        date(2026, 10, 25): "Europe/London",
        date(2026, 11, 1): "America/New_York",
    }


def test_zones_without_clock_changes_are_refused() -> None:
    with pytest.raises(ValueError, match="changes its clocks"):
        demo_period(["Asia/Tokyo", "UTC"], date(2026, 11, 22))


def test_changes_are_shown_in_the_clinics_time_zone() -> None:
    start = datetime(2026, 11, 3, 22, 30, tzinfo=UTC)
    lines = fields(
        {
            "scheduled_start": (start.isoformat(), (start + timedelta(days=1)).isoformat()),
            "scheduled_end": ("earlier", "later"),
            "scheduled_date": ("2026-11-04", "2026-11-05"),
            "softDeleted": (False, True),
        },
        SYDNEY,
    )

    assert lines == [
        "scheduled start: Wed 04 Nov 09:30 → Thu 05 Nov 09:30",
        "softDeleted: no → yes",
    ]


def test_of_many_changes_the_rest_is_counted() -> None:
    lines = fields({f"field{n}": (None, n) for n in range(1, 6)}, SYDNEY)

    assert lines == ["field1: 1", "field2: 2", "and 3 more"]


def test_notes_are_shown_part_by_part() -> None:
    before = {"subjective": "Well.", "plan": "Rest."}
    lines = fields(
        {
            "consultation.notes": ("Well. Rest.", "Well. Walk."),
            "consultation.soapNotes": (before, {**before, "plan": "Walk."}),
        },
        SYDNEY,
    )

    assert lines == ["notes.plan: Rest. → Walk."]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_login_leaves_nothing_running(
    number: signal.Signals,
) -> None:
    with own_home() as home, started(home, "demo") as process:
        until(lambda: browser_runs(process), process)
        status, _, err, alive = interrupted(process, number)

        assert (status, alive) == (1, [])
        assert err.strip() == "Aborted!"
        assert not database_runs(home)


def browser_runs(process: "subprocess.Popen[str]") -> bool:
    words = (command_line(each) for each in descendants(process))
    return any("chrom" in Path(program).name for program, *_ in filter(None, words))


def test_the_checks_of_two_demonstrations_pass(home: Path) -> None:
    first = demonstration_output(home)
    again = demonstration_output(home)

    assert "catches up" not in first
    assert "this sync catches up" in again
    for output in (first, again):
        for each in DEMO_CLINICS:
            logins = int(each.vendor == "idexx_neo")
            slug = DEMO_SLUGS[each.company_id]
            assert re.search(rf"^ *{slug} +{logins} *$", output, re.MULTILINE), "browser launches"
        for kind in ("status changed", "soft deleted", "rescheduled", "enriched", "restored"):
            assert kind in output
        assert "0 created, 0 updated, 0 restored, 0 deleted, 0 enriched" in output
        assert "No browser was launched" in output
        assert "All checks passed" in output


def demonstration_output(home: Path) -> str:
    """The output of a demonstration that succeeds."""
    with started(home, "demo") as process:
        out, err = process.communicate(timeout=2 * TIMEOUT_SECONDS)

    assert (process.returncode, err) == (0, "")
    assert CONTROL_CHARACTERS.findall(out) == []
    assert not database_runs(home)
    return out


def test_a_failed_check_fails_the_demonstration(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with started(home, "demo", PIMS_CHROMIUM_PATH=str(broken)) as process:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 1
    assert "All checks passed" not in out
    [line] = err.splitlines()
    assert re.match(r"Error: check failed: run [0-9a-f-]{36} failed: .*PIMS_CHROMIUM_PATH", line)
    assert not database_runs(home)
