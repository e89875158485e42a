"""The store of screenshots keeps the latest ones, for their owner alone."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pims_pipeline.providers.idexx_neo.login.screenshots import MAX_KEPT, keep_screenshot

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def test_a_picture_is_private_and_named_by_clinic_and_time(tmp_path: Path) -> None:
    path = keep_screenshot(b"png", directory=tmp_path / "a" / "b", subject="oak", taken_at=NOW)
    assert path.name == "login-oak-20260304T120000000000Z.png"
    assert path.read_bytes() == b"png"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_oldest_pictures_of_all_clinics_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    kept = [
        keep_screenshot(
            b"png",
            directory=tmp_path,
            subject="z-clinic" if number % 2 else "a-clinic",
            taken_at=NOW + timedelta(minutes=number),
        )
        for number in range(MAX_KEPT + 5)
    ]
    assert set(tmp_path.glob("*.png")) == set(kept[-MAX_KEPT:])
    assert (tmp_path / "notes.txt").exists()
