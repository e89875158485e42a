"""Drives the Dagster UI in a real browser, as an operator does.

Navigation and selectors live here; what has to be visible belongs in the tests.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Locator, Page, ViewportSize, sync_playwright

from pims_pipeline.providers.idexx_neo.login.chromium import find_chromium

TIMEOUT_MS = 120_000
ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
"""Screenshots; not part of the repository."""

_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_SIZE = ViewportSize(width=1440, height=860)


class DagsterUI:
    """The Dagster UI at one address.

    Args:
        page: A tab of the browser.
        address: The address of the UI.
    """

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._address = address

    def take_screenshot(self, name: str) -> None:
        """Store a screenshot of the page."""
        ARTIFACTS.mkdir(exist_ok=True)
        self._page.screenshot(path=ARTIFACTS / f"{name}.png")

    def open_lineage(self) -> None:
        """Open the lineage of the group of synced assets."""
        # The page of all groups shows no assets until a group is expanded.
        self._page.goto(f"{self._address}/locations/pims_pipeline/asset-groups/pims")

    def wait_for(self, text: str) -> None:
        """Wait until this exact text is visible."""
        self._page.get_by_text(text, exact=True).locator("visible=true").first.wait_for()

    def wait_for_parts(self, *texts: str) -> None:
        """Wait until each of the texts is visible, alone or within others."""
        for text in texts:
            self._page.get_by_text(text).locator("visible=true").first.wait_for()

    def wait_until_loaded(self) -> None:
        """Wait until nothing visible is still being fetched."""
        self._page.get_by_text("Passed").first.wait_for()
        self._page.wait_for_function("!document.body.innerText.includes('Loading')")

    def open_partitions(self, asset: str, key: str | None = None) -> None:
        """Open the partitions of an asset; with ``key``, the details of that one."""
        selected = "" if key is None else f"&partition={key.replace('|', '%7C')}"
        self._page.goto(f"{self._address}/assets/{asset}?view=partitions{selected}")

    def wait_for_partitions(self, status: Literal["Materialized", "Failed"], number: int) -> None:
        """Wait until so many of the asset's partitions have that status."""
        self._page.get_by_text(f"{status} ({number})").wait_for()

    def open_console(self, part: str) -> Page:
        """Follow the first link to the console whose address has ``part``: a tab of its own."""
        with self._page.context.expect_page() as opened:
            # By keyboard: a cell that is cut lays a button over its links.
            self._page.get_by_role("link", name=part).first.press("Enter")
        return opened.value

    def materialize_one(self, asset: str, clinic: str, day: str) -> None:
        """Launch a run for one partition, from the asset's page."""
        self._page.goto(f"{self._address}/assets/{asset}")
        dialog = self._launchpad("Materialize")
        dialog.get_by_text("Select a partition or create one").first.click()
        self._page.get_by_text(clinic, exact=True).locator("visible=true").first.click()
        self._page.keyboard.press("Escape")
        self._launch(dialog, day, "Launch 1 run")

    def backfill_everything(self, first: str, last: str) -> None:
        """Launch a backfill of all assets and clinics over the dates, from the lineage."""
        self.open_lineage()
        dialog = self._launchpad("Materialize all")
        # The button "All" selects no clinic until the dates are loaded.
        dialog.get_by_text(_DATE).first.wait_for()
        dialog.get_by_role("button", name="All", exact=True).first.click()
        dialog.get_by_text("Select a partition or create one").wait_for(state="hidden")
        self._launch(dialog, f"[{first}...{last}]", "Launch")

    def _launchpad(self, button: str) -> Locator:
        self._page.get_by_role("button", name=button).first.click()
        # A field of the launchpad opens another dialog inside it, which closes late.
        return self._page.locator('[role="dialog"][aria-modal="true"]')

    def _launch(self, dialog: Locator, dates: str, button: str) -> None:
        field = dialog.get_by_placeholder("ex:")
        field.fill(dates)
        field.press("Enter")
        dialog.get_by_role("button", name=button).click()
        dialog.wait_for(state="hidden")


@contextmanager
def open_dagster_ui(address: str) -> Iterator[DagsterUI]:
    """Open the UI in a headless Chromium, which ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(None), args=["--no-sandbox"]
        )
        with browser:
            page = browser.new_page(viewport=_SIZE)
            page.set_default_timeout(TIMEOUT_MS)
            yield DagsterUI(page, address)
