"""The addresses of the console's pages, for what links to them from elsewhere, such as Dagster.

They hold ids, slugs and dates alone: the Dagster UI shows them to everyone who can open it. A new
page that others link to gets a method here; the console's own templates use relative addresses.
"""

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote
from uuid import UUID

CONSOLE_PATH = "/console"
"""Where the API's server has the console."""
DEFAULT_CONSOLE_URL = f"http://127.0.0.1:8000{CONSOLE_PATH}"
"""Where ``pims up`` and ``pims serve`` serve the console by default."""


@dataclass(frozen=True, slots=True)
class ConsoleLinks:
    """Links to the console at ``url``, which has no slash at its end."""

    url: str = DEFAULT_CONSOLE_URL

    def clinic(self, slug: str) -> str:
        """A clinic: its status, and its present business date."""
        return f"{self.url}/clinics/{quote(slug, safe='')}"

    def day(self, slug: str, day: date) -> str:
        """A clinic's business date: each appointment beside its case."""
        return f"{self.clinic(slug)}?date={day.isoformat()}"

    def changes(self, slug: str, audit_id: UUID, day: date) -> str:
        """What one sync of a clinic changed on a business date, case by case.

        Example:
            >>> ConsoleLinks("https://a.example").changes("oak", UUID(int=1), date(2026, 3, 9))
            'https://a.example/clinics/oak/changes/00000000-0000-0000-0000-000000000001?date=2026-03-09'
        """
        return f"{self.clinic(slug)}/changes/{audit_id}?date={day.isoformat()}"

    def case(self, case_id: UUID) -> str:
        """A case: its life as a time line."""
        return f"{self.url}/cases/{case_id}"

    def run(self, run_id: str) -> str:
        """A run of Dagster: its syncs, clinic by clinic."""
        return f"{self.url}/runs/{quote(run_id, safe='')}"
