"""What people meet at the vendor's login: what comes of it, as docs/reliability.md says it.

A real Chromium, the real adapter, the simulator and a real database. ``make reliability``
sets ``PIMS_WRITE_FAULT_TABLE`` and writes what it finds into that page.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.providers.idexx_neo.login.attempt import Accepts
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials, HumanNeeded, PimsError
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
from pims_pipeline_tests.reliability.fault_table import rows_of, write
from pims_pipeline_tests.reliability.synced_clinic import SharedServers, simulated

COLUMNS = ("at the login", "the first sync", "credentials", "sent", "sent again")
COMPANY = simulated("1001")


@dataclass(frozen=True, slots=True)
class Meeting:
    """What a login meets: the page's shape, what a right password leads to, a fault."""

    page: str = "plain"
    mode: str = "normal"
    fault: str | None = None
    endpoint: Literal["login", "listing"] = "login"
    form_only: bool = False
    password: str = COMPANY.password


MEETINGS = {
    "an ordinary page": Meeting(),
    "a cookie banner over the form": Meeting("cookie_banner"),
    "a cookie wall without a button": Meeting("cookie_wall"),
    "a search, a newsletter and a registration before the form": Meeting("other_forms"),
    "the form in an inner page": Meeting("inner_page"),
    "the form in a shadow tree": Meeting("shadow"),
    "the user name first, then the password": Meeting("two_steps"),
    "a form that is slow to come": Meeting("slow"),
    "a login that opens a new tab": Meeting("new_tab"),
    "an `alert`": Meeting("alert"),
    "a guest's session before the login": Meeting("guest"),
    "a guest's session, and a wrong password": Meeting("guest", password="wrong"),
    "a wrong password": Meeting(password="wrong"),
    "a locked account": Meeting(mode="locked"),
    "a page for a code": Meeting(mode="code"),
    "a page for terms": Meeting(mode="terms"),
    "a page to choose a location": Meeting(mode="location"),
    "an expired password": Meeting(mode="password_expired"),
    "a page to remember the device": Meeting(mode="device"),
    "a captcha after the password": Meeting(mode="robot"),
    "a page that nobody knows": Meeting(mode="news"),
    "a session that is refused at once": Meeting(mode="dead_session"),
    "a captcha before the password": Meeting("captcha"),
    "a script that fails": Meeting("script_error"),
    "another site at the address": Meeting("other_site"),
    "a redirect to another host": Meeting("elsewhere"),
    "a file instead of a page": Meeting("file"),
    "a browser's own password prompt": Meeting("basic_auth"),
    "maintenance instead of the page": Meeting(fault="html"),
    "maintenance after the password": Meeting(mode="closed"),
    "maintenance at the first question": Meeting(fault="html", endpoint="listing"),
    "no list at the first question": Meeting(fault="not_a_list", endpoint="listing"),
    "500 for the page": Meeting(fault="server_error"),
    "500 for the form": Meeting(fault="server_error", form_only=True),
    "500 for the first question, every time": Meeting(fault="server_error", endpoint="listing"),
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
    login = Credentials(COMPANY.username, password, COMPANY.company_id)
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
    """A sync's first question: why it failed, if it did."""
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


def prepare(servers: SharedServers, meeting: Meeting) -> None:
    servers.control.reset()
    servers.control.settings(login_page=meeting.page)
    servers.control.login_mode(COMPANY.company_id, meeting.mode)
    if meeting.fault is not None:
        servers.control.add_fault(
            meeting.fault,
            endpoint=meeting.endpoint,
            company_id=COMPANY.company_id if meeting.form_only else None,
            times=None,
        )


def forms_sent(servers: SharedServers) -> int:
    return servers.control.stats().requests["login_post"]


@pytest.mark.parametrize("name", MEETINGS)
def test_what_people_meet_at_the_login_leads_to_what_the_page_says(
    servers: SharedServers, browser: SharedBrowser, name: str
) -> None:
    meeting = MEETINGS[name]
    prepare(servers, meeting)
    clinic = registered(servers, meeting.password)
    error = sync(servers, browser, clinic)
    sent, status = forms_sent(servers), status_of(servers, clinic)
    if status in {"invalid", "needs_human"}:
        # What needs a person is not tried again, whatever else may be.
        assert type(sync(servers, browser, clinic)) is type(error)
    again = forms_sent(servers) - sent
    came = "completed" if error is None else f"`{type(error).__name__}`"
    found = [came, str(status), str(sent), "–" if error is None else str(again)]
    if "PIMS_WRITE_FAULT_TABLE" in os.environ:
        write("login", {**rows_of("login"), name: found}, COLUMNS)
    assert rows_of("login")[name] == found
    # Never are credentials called wrong that were not sent, or sent again that are.
    assert again == 0
    assert (status == "invalid") <= (meeting.password != COMPANY.password)


def test_the_page_tells_of_every_meeting_and_no_other() -> None:
    assert list(rows_of("login")) == list(MEETINGS)


def test_a_page_that_nobody_knows_is_named_without_anybodys_name(
    servers: SharedServers, browser: SharedBrowser
) -> None:
    """Its title holds a person's name, and its text more of them."""
    prepare(servers, Meeting(mode="news"))
    error = sync(servers, browser, registered(servers, COMPANY.password))
    assert isinstance(error, HumanNeeded)
    assert '"… simulator"' in str(error)
    assert not {"Sam", "Booker", "Okafor", "Biscuit"} & set(str(error).replace('"', " ").split())
    assert error.__notes__ == ["A screenshot is kept as kept.png."]


def test_after_a_person_has_chosen_the_location_the_login_works(
    servers: SharedServers, browser: SharedBrowser
) -> None:
    prepare(servers, Meeting(mode="location"))
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


def test_a_working_login_costs_one_question(servers: SharedServers, browser: SharedBrowser) -> None:
    prepare(servers, Meeting())
    clinic = registered(servers, COMPANY.password)
    assert sync(servers, browser, clinic) is None
    assert servers.control.stats().requests["listing"] == 2
    assert sync(servers, browser, clinic) is None
    assert servers.control.stats().requests["listing"] == 3
    assert forms_sent(servers) == 1
