"""Every page and fault of the vendor's login has the result that docs/reliability.md states.

A real Chromium, the real adapter, the simulator and a real database. With
``PIMS_WRITE_FAULT_TABLE`` set, the results are written into that page.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.login.attempt import Accepts
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials, HumanNeeded, PimsError
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import credential_status, put_credentials
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    Cookies,
    SharedBrowser,
    shared_browser,
)
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.fault_table import rows_of, write

COLUMNS = ("at the login", "the first sync", "credentials", "sent", "sent again")
COMPANY = DEFAULT_CLINICS[0]


@dataclass(frozen=True, slots=True)
class LoginCase:
    """A login page, the mode that follows the right password, and a fault."""

    page: str = "plain"
    mode: str = "normal"
    fault: str | None = None
    endpoint: Literal["login", "listing"] = "login"
    form_only: bool = False
    password: str = COMPANY.password


LOGIN_CASES = {
    "an ordinary page": LoginCase(),
    "a cookie banner over the form": LoginCase("cookie_banner"),
    "a cookie wall without a button": LoginCase("cookie_wall"),
    "a search, a newsletter and a registration before the form": LoginCase("other_forms"),
    "the form in an inner page": LoginCase("inner_page"),
    "the form in a shadow tree": LoginCase("shadow"),
    "the user name first, then the password": LoginCase("two_steps"),
    "a form that is slow to come": LoginCase("slow"),
    "a login that opens a new tab": LoginCase("new_tab"),
    "an `alert`": LoginCase("alert"),
    "a guest's session before the login": LoginCase("guest"),
    "a guest's session, and a wrong password": LoginCase("guest", password="wrong"),
    "a wrong password": LoginCase(password="wrong"),
    "a locked account": LoginCase(mode="locked"),
    "a page for a code": LoginCase(mode="code"),
    "a page for terms": LoginCase(mode="terms"),
    "a page to choose a location": LoginCase(mode="location"),
    "an expired password": LoginCase(mode="password_expired"),
    "a page to remember the device": LoginCase(mode="device"),
    "a captcha after the password": LoginCase(mode="robot"),
    "an unknown page": LoginCase(mode="news"),
    "a session that is refused at once": LoginCase(mode="dead_session"),
    "a captcha before the password": LoginCase("captcha"),
    "a script that fails": LoginCase("script_error"),
    "another site at the address": LoginCase("other_site"),
    "a redirect to another host": LoginCase("elsewhere"),
    "a file instead of a page": LoginCase("file"),
    "a browser's own password prompt": LoginCase("basic_auth"),
    "maintenance instead of the page": LoginCase(fault="html"),
    "maintenance after the password": LoginCase(mode="closed"),
    "maintenance at the first request": LoginCase(fault="html", endpoint="listing"),
    "no list at the first request": LoginCase(fault="not_a_list", endpoint="listing"),
    "500 for the page": LoginCase(fault="server_error"),
    "500 for the form": LoginCase(fault="server_error", form_only=True),
    "500 for the first request, every time": LoginCase(fault="server_error", endpoint="listing"),
}


class NeoInSharedBrowser(IdexxNeoProvider):
    """The real adapter, in a browser that is already running."""

    def __init__(self, servers: SharedServers, browser: SharedBrowser, clinic: Clinic) -> None:
        super().__init__(
            clinic,
            ProviderOptions(
                login=LoginOptions(artifacts_dir=servers.artifacts),
                requests=RequestOptions(per_second=100_000, retry_base_delay=0.001),
            ),
        )
        self._browser = browser

    def _log_in_with_browser(self, credentials: Credentials, accepts: Accepts) -> Cookies | None:
        return self._browser.log_in(self._base_url, credentials, accepts=accepts)


@pytest.fixture(scope="module")
def browser() -> Iterator[SharedBrowser]:
    with shared_browser() as started:
        yield started


def registered(servers: SharedServers, password: str) -> Clinic:
    login = neo_credentials(COMPANY.username, password, COMPANY.company_id)
    with transaction(servers.engine) as connection:
        clinic = add_clinic(
            connection,
            slug=f"clinic-{secrets.token_hex(8)}",
            name=COMPANY.name,
            timezone=COMPANY.timezone,
            provider_type="idexx_neo",
            provider_base_url=servers.base_url,
        )
        put_credentials(connection, servers.vault, clinic, login.to_mapping())
    return clinic


def sync(servers: SharedServers, browser: SharedBrowser, clinic: Clinic) -> PimsError | None:
    """A sync's first request; returns its error, if any."""
    context = SyncContext(
        engine=servers.engine,
        vault=servers.vault,
        open_provider=lambda clinic: NeoInSharedBrowser(servers, browser, clinic),
        run_id="a-run",
        liveness=servers.liveness,
    )
    today = datetime.now(UTC).astimezone(COMPANY.zone).date()
    try:
        with clinic_session(context, clinic) as session:
            session.request(lambda provider: provider.fetch_appointments(DateRange(today, today)))
    except PimsError as error:
        return error
    return None


def status_of(servers: SharedServers, clinic: Clinic) -> str | None:
    with transaction(servers.engine) as connection:
        return credential_status(connection, clinic)


def prepare(servers: SharedServers, case: LoginCase) -> None:
    servers.control.reset()
    servers.control.settings(login_page=case.page)
    servers.control.login_mode(COMPANY.company_id, case.mode)
    if case.fault is not None:
        servers.control.add_fault(
            case.fault,
            endpoint=case.endpoint,
            company_id=COMPANY.company_id if case.form_only else None,
            times=None,
        )


def forms_sent(servers: SharedServers) -> int:
    return servers.control.stats().requests["login_post"]


@pytest.mark.parametrize("name", LOGIN_CASES)
def test_a_login_has_the_documented_result(
    servers: SharedServers, browser: SharedBrowser, name: str
) -> None:
    case = LOGIN_CASES[name]
    prepare(servers, case)
    clinic = registered(servers, case.password)
    error = sync(servers, browser, clinic)
    sent, status = forms_sent(servers), status_of(servers, clinic)
    if status in {"invalid", "needs_human"}:
        # A login that needs an operator is not sent again; others may be.
        assert type(sync(servers, browser, clinic)) is type(error)
    again = forms_sent(servers) - sent
    result = "completed" if error is None else f"`{type(error).__name__}`"
    found = [result, str(status), str(sent), "–" if error is None else str(again)]
    if "PIMS_WRITE_FAULT_TABLE" in os.environ:
        write("login", {**rows_of("login"), name: found}, COLUMNS)
    assert rows_of("login")[name] == found
    # Credentials are invalid only if they were sent and wrong, and are then not sent again.
    assert again == 0
    assert (status == "invalid") <= (case.password != COMPANY.password)


def test_the_page_lists_every_login_case_and_no_other() -> None:
    assert list(rows_of("login")) == list(LOGIN_CASES)


def test_the_error_for_an_unknown_page_names_no_person(
    servers: SharedServers, browser: SharedBrowser
) -> None:
    """The page has a person's name in its title, and more in its text."""
    prepare(servers, LoginCase(mode="news"))
    error = sync(servers, browser, registered(servers, COMPANY.password))
    assert isinstance(error, HumanNeeded)
    assert '"… simulator"' in str(error)
    assert not {"Sam", "Booker", "Okafor", "Biscuit"} & set(str(error).replace('"', " ").split())
    assert error.__notes__ == ["A screenshot is kept as kept.png."]


def test_the_login_works_after_an_operator_chose_the_location(
    servers: SharedServers, browser: SharedBrowser
) -> None:
    prepare(servers, LoginCase(mode="location"))
    clinic = registered(servers, COMPANY.password)
    assert "choose a location" in str(sync(servers, browser, clinic))
    servers.control.login_mode(COMPANY.company_id, "normal")
    context = SyncContext(
        engine=servers.engine,
        vault=servers.vault,
        open_provider=lambda clinic: NeoInSharedBrowser(servers, browser, clinic),
        run_id="pims credentials check",
        liveness=servers.liveness,
    )
    with clinic_session(context, clinic) as session:
        session.log_in()
    assert status_of(servers, clinic) == "valid"
    assert sync(servers, browser, clinic) is None


def test_a_working_login_costs_one_request(servers: SharedServers, browser: SharedBrowser) -> None:
    prepare(servers, LoginCase())
    clinic = registered(servers, COMPANY.password)
    assert sync(servers, browser, clinic) is None
    assert servers.control.stats().requests["listing"] == 2
    assert sync(servers, browser, clinic) is None
    assert servers.control.stats().requests["listing"] == 3
    assert forms_sent(servers) == 1
