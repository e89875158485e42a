"""A real Chromium logs in through the script-drawn form and uses the calendar page."""

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.simulator.http_client import TODAY, logged_in

COMPANY = "1001"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def sign_in(page: Page, password: str = "demo-1001") -> None:
    page.goto("/login")
    page.fill("[name=company_id]", COMPANY)
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", password)
    page.click("button[type=submit]")


def test_a_browser_signs_in_and_is_led_away_from_the_login_page(page: Page) -> None:
    sign_in(page)

    expect(page).to_have_url(re.compile(r"/$"))
    assert "neo_session" in {cookie["name"] for cookie in page.context.cookies()}


def test_a_browser_with_a_wrong_password_sees_why(page: Page) -> None:
    sign_in(page, "wrong")

    expect(page.locator(".error-message")).to_contain_text("password is wrong")
    expect(page).to_have_url(re.compile(r"/login$"))


def test_a_user_books_moves_finishes_and_corrects_an_appointment(
    page: Page, control: SimulatorControl
) -> None:
    sign_in(page)
    page.fill("#book-patient", "<script>Böser & Bube</script>")
    page.fill("#book-start", f"{TODAY}T15:20")
    page.click("text=Book >> nth=-1")
    row = page.locator("tr", has_text="<script>Böser & Bube</script>")
    expect(row).to_contain_text("15:20")

    row.locator("summary", has_text="Move").click()
    row.locator("[name=start]").fill(f"{TODAY + timedelta(days=1)}T08:05")
    row.get_by_role("button", name="Move", exact=True).click()
    expect(row).to_contain_text("08:05")

    row.locator("summary", has_text="Finish appointment").click()
    row.locator("textarea").fill("<p>S: eats & drinks</p>")
    row.get_by_role("button", name="Finish appointment", exact=True).click()
    expect(row.locator(".status")).to_have_text("Finalized")

    row.locator("summary", has_text="Notes").click()
    expect(row.locator("textarea")).to_have_value("<p>S: eats & drinks</p>")
    row.locator("textarea").fill("<p>S: corrected</p>")
    row.get_by_role("button", name="Save notes").click()
    expect(row.locator("textarea")).to_have_value("<p>S: corrected</p>")

    day = TODAY + timedelta(days=1)
    notes = [e.notes for e in control.appointments(COMPANY, day, day) if e.id.startswith("9")]
    assert notes == ["<p>S: corrected</p>"]


def test_a_user_cancels_deletes_and_restores_an_appointment(page: Page) -> None:
    sign_in(page)
    page.fill("#book-patient", "Comeback")
    page.click("text=Book >> nth=-1")
    row = page.locator("tr", has_text="Comeback")

    for action, status in [
        ("Cancel", "Cancelled"),
        ("Restore", "not arrived"),
        ("Delete", "Deleted"),
        ("Restore", "not arrived"),
    ]:
        row.get_by_role("button", name=action).click()
        expect(row.locator(".status")).to_have_text(status)


def test_a_form_without_the_sessions_token_changes_nothing(
    base_url: str, control: SimulatorControl
) -> None:
    before = control.appointments(COMPANY, TODAY, TODAY)
    with logged_in(base_url) as client:
        forged = client.post(f"/calendar/{before[-1].id}/delete", data={"date": str(TODAY)})

    assert forged.status_code == 403
    assert control.appointments(COMPANY, TODAY, TODAY) == before


def test_the_calendar_requires_a_login(page: Page) -> None:
    page.goto("/")

    expect(page).to_have_url(re.compile(r"/login$"))
