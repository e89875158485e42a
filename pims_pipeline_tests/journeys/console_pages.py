"""Drives the operator's console in a real browser, as an operator does.

Navigation and selectors live here; what has to be visible belongs in the tests.
"""

from datetime import date

from playwright.sync_api import Page, expect

from pims_pipeline_tests.journeys.dagster_ui import ARTIFACTS, TIMEOUT_MS


class ConsolePages:
    """The console in a tab of a browser.

    Args:
        page: The tab. What the console's pages report to the browser is in ``reported``.
        address: The address of the console, without a slash at the end.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self._address = address
        self.reported: list[str] = []
        page.on("console", lambda each: self._note(each.text))
        page.on("pageerror", lambda each: self._note(str(each)))

    def _note(self, text: str) -> None:
        # The tab also shows the Dagster UI.
        if self.page.url.startswith(self._address):
            self.reported.append(text)

    def open(self, path: str) -> None:
        """Open a page by its path below the console's address."""
        self.page.goto(f"{self._address}{path}")

    def take_screenshot(self, name: str) -> None:
        """Store a screenshot of the whole page."""
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)

    def sign_in(self, name: str, password: str) -> None:
        """Fill in the page for signing in, which is open."""
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def sign_out(self) -> None:
        """End the sign-in."""
        self.page.get_by_role("button", name="Sign out").click()
        self.wait_for_heading("Sign in")

    def find_case(self, words: str, patient: str) -> None:
        """Search for the words and open the case of that patient."""
        self.page.get_by_role("link", name="Search").click()
        self.page.get_by_label("Patient, client, phone or vendor id").fill(words)
        self.page.keyboard.press("Enter")
        self.page.get_by_role("link", name=patient).first.click()
        self.wait_for_heading(patient)

    def open_the_hold(self) -> None:
        """Follow the link from an approval's sync to its hold."""
        self.page.get_by_role("link", name="hold", exact=True).click()

    def follow_to_dagster(self) -> None:
        """Follow the case's last change to its run in the Dagster UI."""
        self.page.locator("a[href*='/runs/']:not([href^='/'])").first.click()

    def sent_as_a_form(self, path: str, **fields: str) -> int:
        """The status of a form with the page's own token that the page does not offer."""
        token = self.page.locator("input[name=form_token]").first.input_value()
        sent = self.page.request.post(
            f"{self._address}{path}",
            form={**fields, "form_token": token},
            headers={"Origin": self._address.removesuffix("/console")},
            max_redirects=0,
        )
        return sent.status

    def reconcile(self, slug: str, first: date, last: date) -> None:
        """Start a reconciliation of a clinic's dates."""
        self.open(f"/clinics/{slug}/sync")
        self.page.get_by_label("What").select_option("reconcile")
        self.page.get_by_label("First date").fill(first.isoformat())
        self.page.get_by_label("Last date").fill(last.isoformat())
        self.page.get_by_role("button", name="Start").click()

    def approve(self, slug: str, reason: str) -> None:
        """Approve the clinic's only hold that waits."""
        self.open(f"/holds?clinic={slug}")
        self.page.get_by_role("rowheader").get_by_role("link").click()
        self.page.get_by_label("Reason to approve").fill(reason)
        self.page.get_by_role("button", name="Approve").click()

    def change_schedule(self, slug: str, phase: str, cron: str) -> None:
        """Change a phase's schedule, after a look at its next times."""
        self.open(f"/clinics/{slug}/schedule")
        self.page.get_by_label(phase, exact=True).fill(cron)
        self.page.get_by_role("button", name="Show the next times").click()
        times = self.page.get_by_role("list", name=f"Next times of {phase.lower()}")
        expect(times.locator("li")).to_have_count(5)
        self.page.get_by_role("button", name="Save").click()

    def wait_for_heading(self, text: str) -> None:
        """Wait until this heading is visible."""
        expect(self.page.get_by_role("heading", name=text).first).to_be_visible(timeout=TIMEOUT_MS)

    def wait_for_text(self, text: str) -> None:
        """Wait until this text is visible."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=TIMEOUT_MS)

    def wait_until_ended(self, status: str) -> None:
        """Wait until the page of a sync shows its end, with this status."""
        shown = self.page.locator("#progress strong", has_text=status)
        expect(shown).to_be_visible(timeout=TIMEOUT_MS)
        expect(self.page.locator("[hx-get]")).to_have_count(0)
