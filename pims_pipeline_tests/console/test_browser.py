"""The pages in a real Chromium: by keyboard, on a phone, light and dark, for everyone.

axe looks for what keeps people with disabilities from using a page. No page may break its own
security policy: the browser reports each violation to the page's console.
"""

import re
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
from sqlalchemy import Engine, update

from pims_pipeline.api.server import running_api
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.console.launching import SyncStage
from pims_pipeline.operations.credentials import store_login
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.cases import cases
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline_tests.console.browsers import PASSWORD
from pims_pipeline_tests.console.practice import DAY, RUN, add_day
from pims_pipeline_tests.console.runs import NotedRuns
from pims_pipeline_tests.console.waiting import LOGIN, add_failure, add_hold

Scheme = Literal["light", "dark"]
_ANSWERED = re.compile("a status of (403|503)")
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
    """A tab; at the end, nothing may have been reported to its console, but what was refused."""
    context = chromium.new_context(viewport=_DESK)
    context.set_default_timeout(15_000)
    tab = context.new_page()
    reported: list[str] = []
    tab.on("console", lambda each: reported.append(each.text))
    tab.on("pageerror", lambda each: reported.append(str(each)))
    yield tab
    context.close()
    assert [each for each in reported if not _ANSWERED.search(each)] == []


def sign_in_by_keyboard(page: Page, address: str, name: str = "ann") -> None:
    page.goto(f"{address}/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
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


def test_a_search_that_is_refused_says_so(page: Page, address: str, engine: Engine) -> None:
    create_operator(engine, "ann", password=PASSWORD, role=OperatorRole.VIEWER)
    sign_in_by_keyboard(page, address)
    page.goto(f"{address}/search")
    page.locator("main [name=form_token]").evaluate("field => field.value = 'former'")
    page.get_by_label("Patient, client, phone or vendor id").fill("rex")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_have_text(re.compile("of an earlier sign-in"))
    expect(page.locator("main")).to_have_count(1)


def test_a_sync_is_watched_while_the_server_is_away_for_a_moment(
    page: Page, address: str, waiting: list[str], runs: NotedRuns
) -> None:
    sign_in_by_keyboard(page, address)
    page.goto(f"{address}{waiting[5]}")
    page.get_by_role("button", name="Start").press("Enter")
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    with page.expect_response("**/progress") as away:
        page.route("**/progress", lambda route: route.fulfill(status=503, body="<p>away</p>"))
    assert away.value.status == 503
    expect(page.get_by_text("running", exact=True)).to_be_visible()

    page.unroute("**/progress")
    runs.now = SyncStage(status="completed", has_ended=True)
    expect(page.get_by_text("completed", exact=True)).to_be_visible()


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


def test_names_without_spaces_make_no_page_wider_than_a_phone(
    page: Page, address: str, engine: Engine, case_id: UUID, clinic: Clinic
) -> None:
    name = f"{'w' * 85}@clinic.example"
    create_operator(engine, name, password=PASSWORD, role=OperatorRole.ADMIN)
    with transaction(engine) as connection:
        connection.execute(update(cases).values(patient_name=name, client_name=name))
        connection.execute(update(clinics).values(name=name))
    page.set_viewport_size(ViewportSize(width=320, height=480))
    sign_in_by_keyboard(page, address, name)

    here = f"/clinics/{clinic.slug}"
    for path in ("/", here, f"{here}?date={DAY}", f"{here}/sync", f"/cases/{case_id}"):
        page.goto(f"{address}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.fixture
def waiting(engine: Engine, clinic: Clinic, vault: Vault) -> list[str]:
    """The pages of a clinic at which something waits; and an administrator, ann."""
    create_operator(engine, "ann", password=PASSWORD, role=OperatorRole.ADMIN)
    store_login(engine, vault, clinic, LOGIN)
    hold_id = add_hold(engine, clinic)
    add_failure(engine, clinic)
    here = f"/clinics/{clinic.slug}"
    return [
        f"/holds/{hold_id}",
        "/holds",
        "/failures",
        "/schedules",
        f"{here}/schedule",
        f"{here}/sync",
    ]


def test_an_operator_approves_a_hold_and_watches_its_run_end(
    page: Page, address: str, waiting: list[str], runs: NotedRuns
) -> None:
    axe, found = Axe(), {}
    sign_in_by_keyboard(page, address)
    for path in waiting:
        for size, scheme in ((_PHONE, "light"), (_DESK, "dark")):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            page.goto(f"{address}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            found[f"{path}, {scheme}"] = axe.run(page).generate_snapshot()
    page.goto(f"{address}{waiting[0]}")
    page.get_by_label("Reason to approve").fill("the clinic closed")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    found["a sync"] = axe.run(page).generate_snapshot()
    runs.now = SyncStage(status="completed", has_ended=True)

    expect(page.get_by_text("completed", exact=True)).to_be_visible()
    expect(page.locator("[hx-get]")).to_have_count(0)
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_an_administrator_sees_the_next_times_before_a_schedule_is_saved(
    page: Page, address: str, waiting: list[str]
) -> None:
    sign_in_by_keyboard(page, address)
    page.goto(f"{address}{waiting[4]}")
    page.get_by_label("Cases", exact=True).fill("61 * * * *")
    page.get_by_role("button", name="Show the next times").press("Enter")
    problem = page.get_by_label("Cases", exact=True)
    expect(problem).to_have_attribute("aria-invalid", "true")
    problem.fill("15 6 * * *")
    page.get_by_role("button", name="Show the next times").press("Enter")

    expect(page.get_by_role("list", name="Next times of cases").locator("li")).to_have_count(5)
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("The schedule is saved.")).to_be_visible()


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
