"""The pages in a real Chromium: by keyboard, on a phone, light and dark, for everyone.

axe looks for what keeps people with disabilities from using a page. No page may break its own
security policy: the browser reports each violation to the page's console.
"""

import shutil
from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import (  # type: ignore[import-untyped]  # no types
    Axe,
)
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from sqlalchemy import Engine

from pims_pipeline.api.server import running_api
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.console.browsers import PASSWORD
from pims_pipeline_tests.console.practice import DAY, RUN, add_day

Scheme = Literal["light", "dark"]
_PHONE, _DESK = ViewportSize(width=360, height=740), ViewportSize(width=1280, height=900)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for all tests of this module."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """The address of the console while it is served."""
    with running_api(app) as server:
        yield f"{server.base_url}/console"


@pytest.fixture
def case_id(engine: Engine, clinic: Clinic) -> UUID:
    """A case with a history; and an operator, ann."""
    create_operator(engine, "ann", password=PASSWORD, role=OperatorRole.VIEWER)
    with transaction(engine) as connection:
        return add_day(connection, clinic)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab; at the end, nothing may have been reported to its console."""
    context = chromium.new_context(viewport=_DESK)
    context.set_default_timeout(15_000)
    tab = context.new_page()
    reported: list[str] = []
    tab.on("console", lambda each: reported.append(each.text))
    tab.on("pageerror", lambda each: reported.append(str(each)))
    yield tab
    context.close()
    assert reported == []


def sign_in_by_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_an_operator_goes_by_keyboard_from_the_overview_to_a_change_and_signs_out(
    page: Page, address: str, case_id: UUID, clinic: Clinic
) -> None:
    sign_in_by_keyboard(page, address)
    page.get_by_role("link", name=clinic.slug).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Date", exact=True).fill(DAY.isoformat())
    page.get_by_role("button", name="Show").press("Enter")
    page.get_by_role("link", name="Rex").press("Enter")

    expect(page).to_have_url(f"{address}/cases/{case_id}")
    run = page.get_by_role("link", name=RUN)
    expect(run).to_have_attribute("href", f"http://dagster.example/runs/{RUN}")

    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    page.goto(f"{address}/cases/{case_id}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_operator_finds_a_case_by_a_name_and_follows_a_change_to_its_sync_and_run(
    page: Page, address: str, case_id: UUID
) -> None:
    sign_in_by_keyboard(page, address)
    page.get_by_role("link", name="Search").press("Enter")
    page.get_by_label("Patient, client, phone or vendor id").fill("lee ann")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 case, newest appointment first.")).to_be_visible()
    # What was searched for is in no address, so in no history and no log.
    expect(page).to_have_url(f"{address}/search")

    page.get_by_role("link", name="Rex").press("Enter")
    expect(page).to_have_url(f"{address}/cases/{case_id}")
    page.get_by_role("link", name="what else it changed").press("Enter")
    expect(page.get_by_role("heading", name="What this sync changed")).to_be_visible()
    page.get_by_role("link", name="its syncs").press("Enter")
    expect(page).to_have_url(f"{address}/runs/{RUN}")
    page.get_by_role("link", name="inbound: what it changed").press("Enter")
    page.get_by_role("link", name="Rex").press("Enter")
    expect(page).to_have_url(f"{address}/cases/{case_id}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_and_none_is_wider_than_a_phone(
    page: Page, address: str, engine: Engine, case_id: UUID, *, clinic: Clinic, scheme: Scheme
) -> None:
    with transaction(engine) as connection:
        [audit] = audits_of_run(connection, RUN)
    page.emulate_media(color_scheme=scheme)
    axe = Axe()
    page.goto(f"{address}/sign-in")
    found = {"/sign-in": axe.run(page).generate_snapshot()}
    sign_in_by_keyboard(page, address)
    for path in (
        "/",
        "/search",
        f"/clinics/{clinic.slug}?date={DAY}",
        f"/clinics/{clinic.slug}/changes/{audit.id}",
        f"/runs/{RUN}",
        f"/cases/{case_id}",
    ):
        for size in (_PHONE, _DESK):
            page.set_viewport_size(size)
            page.goto(f"{address}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            found[f"{path} at {size['width']}"] = axe.run(page).generate_snapshot()

    page.goto(f"{address}/search")
    page.get_by_label("Patient, client, phone or vendor id").fill("rex")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Rex")).to_be_visible()
    found["/search with a case"] = axe.run(page).generate_snapshot()

    assert {path: problems for path, problems in found.items() if problems} == {}


def test_the_page_of_the_api_works_without_the_internet(page: Page, address: str) -> None:
    elsewhere: list[str] = []
    server = address.removesuffix("/console")
    page.on(
        "request",
        lambda sent: None if sent.url.startswith((server, "data:")) else elsewhere.append(sent.url),
    )

    page.goto(f"{server}/docs")
    page.get_by_text("/api/cases/{id}/provenance").first.click()

    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
    assert elsewhere == []
