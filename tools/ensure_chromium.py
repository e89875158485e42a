"""Find or install a Chromium for the vendor logins; part of ``make setup``.

Tries, in this order: ``PIMS_CHROMIUM_PATH``; a Chromium or Chrome on the path; Playwright's
own, downloaded if missing; the system's package manager. Installs system packages only as root or
where sudo needs no password. A login chooses its browser in the same order.
"""  # noqa: INP001 - a script, not part of a package

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from system_packages import install, runs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DOWNLOAD_SECONDS = 240
ADVICE = (
    "No Chromium was found or could be installed: install Chromium or Chrome, or set "
    "PIMS_CHROMIUM_PATH to one, and try again."
)


def chosen() -> str | None:
    """The browser that ``PIMS_CHROMIUM_PATH`` names.

    Raises:
        SystemExit: If it names none: falling back would hide the mistake.
    """
    path = os.environ.get("PIMS_CHROMIUM_PATH")
    if path and not os.access(path, os.X_OK):
        sys.exit("PIMS_CHROMIUM_PATH must be the path of an existing Chromium or Chrome program")
    return path or None


def on_path() -> str | None:
    """The first known browser on the path that can be started."""
    found = (shutil.which(name) for name in NAMES)
    # Ubuntu's chromium-browser may be an empty wrapper that only advises to install a snap.
    return next((path for path in found if path and runs([path, "--version"], seconds=60)), None)


def playwrights_own() -> str | None:
    """The browser that Playwright downloaded, if it did."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - slow, and seldom needed

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def downloaded() -> str | None:
    """Playwright's own browser, downloaded now; None if that fails."""
    print("Downloading Chromium (a few minutes at most)", flush=True)  # noqa: T201 - a script
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return playwrights_own() if runs(command, seconds=DOWNLOAD_SECONDS) else None


def from_package_manager() -> str | None:
    """A browser installed by the system's package manager."""
    install("chromium", brew=["--cask", "chromium"])
    return on_path()


SOURCES: Sequence[Callable[[], str | None]] = (
    chosen,
    on_path,
    playwrights_own,
    downloaded,
    from_package_manager,
)


def main() -> None:
    """Use the first source that has a browser; exit 1 when none has."""
    path = next((path for source in SOURCES if (path := source())), None)
    if path is None:
        sys.exit(ADVICE)
    print(f"Chromium: {path}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
