"""The progress bar's counts, and that a pipe gets none of it."""

import os
import pty
import sys
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from pims_pipeline.cli.terminal.progress import progress_bar, steps
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import Audit

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = DateRange(date(2026, 3, 10), date(2026, 3, 10))


def audit(status: AuditStatus, done: int, total: int) -> Audit:
    """An audit with that progress."""
    return Audit(
        id=uuid4(),
        clinic_id=uuid4(),
        sync_type=Phase.CASES,
        status=status,
        window=DAY,
        run_id="run",
        counts=Counts(),
        items_done=done,
        items_total=total,
        fetched_at=None,
        error_message=None,
        created_at=NOW,
        updated_at=NOW,
        duration_ms=None,
    )


def test_windows_and_appointments_are_steps() -> None:
    ended = audit(AuditStatus.COMPLETED, 8, 8)
    going = audit(AuditStatus.IN_PROGRESS, 2, 10)

    assert steps([ended, going], windows=3) == (11, 21)
    assert steps([ended, ended, ended], windows=3) == (27, 27)


def test_on_a_terminal_the_bar_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, terminal = pty.openpty()
    ended = audit(AuditStatus.COMPLETED, 8, 8)
    with os.fdopen(terminal, "w") as error:
        monkeypatch.setattr(sys, "stderr", error)
        with progress_bar([Phase.CASES, Phase.RECONCILIATION], 1, lambda: [ended]):
            print("a line of a library's", file=error, flush=True)
        print("afterwards", file=error, flush=True)
        shown = b""
        while b"afterwards" not in shown:
            shown += os.read(watched, 4096)
    os.close(watched)

    assert b"9/9" in shown
    assert b"reconciliation" in shown
    assert b"library" not in shown


def test_off_a_terminal_nothing_is_read_or_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def read() -> list[Audit]:
        raise AssertionError("there is no terminal")

    with progress_bar([Phase.CASES], 1, read):
        pass

    assert capfd.readouterr() == ("", "")
