"""The check of the disk: the home directory, and the artifacts of failed logins in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.local_trust.private_files import close_to_others
from pims_pipeline.providers.stop_signal import StopSignal

_MIB = 1024 * 1024
FULL_BYTES = 100 * _MIB
"""With less, the next run may fail."""
LOW_BYTES = 1024 * _MIB
MANY_BYTES = 1024 * _MIB
"""More artifacts than anyone looks at."""


def check_disk(installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    """Whether home and artifacts can be written, and how much room there is."""
    close_to_others(installation.home)
    yield directory("home", installation.home)
    artifacts = installation.providers.login.artifacts_dir
    if artifacts.exists():
        yield directory("artifacts", artifacts)
        sizes = [each.stat().st_size for each in artifacts.rglob("*") if each.is_file()]
        yield kept(len(sizes), sum(sizes))


def directory(name: str, path: Path) -> DoctorFinding:
    """Whether a directory, or what it would be created in, can be written and has room."""
    place = next(each for each in (path, *path.parents) if each.exists())
    if not place.is_dir():
        return DoctorFinding.failed(
            f"{name}: {place} is not a directory", "set PIMS_HOME to a directory, or move the file"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        return DoctorFinding.failed(
            f"{name}: {place} cannot be written by this user",
            "give the user the directory, or set PIMS_HOME to another",
        )
    return room(name, shutil.disk_usage(place).free)


def room(name: str, free: int) -> DoctorFinding:
    """Whether so many free bytes are enough."""
    text = f"{name}: {free / _MIB:,.0f} MiB free"
    remedy = "free space on its disk, or set PIMS_HOME to a larger one"
    if free < FULL_BYTES:
        return DoctorFinding.failed(text, remedy)
    return DoctorFinding.warning(text, remedy) if free < LOW_BYTES else DoctorFinding.ok(text)


def kept(number: int, size: int) -> DoctorFinding:
    """Whether the artifacts take too much room."""
    text = f"artifacts: {number} {'file' if number == 1 else 'files'}, {size / _MIB:,.1f} MiB"
    if size < MANY_BYTES:
        return DoctorFinding.ok(text)
    return DoctorFinding.warning(text, "delete the old ones")
