"""Pictures of failed logins, for the person who must find out why. Files only."""

import os
from datetime import UTC, datetime
from pathlib import Path

MOST_KEPT = 20


def keep_screenshot(picture: bytes, *, directory: Path, subject: str, taken_at: datetime) -> Path:
    """Write ``picture`` for its owner's eyes only; the oldest beyond 20 go.

    Args:
        picture: A PNG on which form fields are masked.
        directory: Made if it is missing.
        subject: A clinic's slug or a host name, for the file's name.
        taken_at: Aware; goes into the file's name, in UTC.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    moment = taken_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    path = directory / f"login-{subject}-{moment}.png"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(picture)
    for old in _oldest_first(directory)[:-MOST_KEPT]:
        old.unlink(missing_ok=True)
    return path


def _oldest_first(directory: Path) -> list[Path]:
    return sorted(directory.glob("login-*.png"), key=lambda path: path.name.rsplit("-", 1)[-1])
