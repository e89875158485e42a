"""Logins that share a browser: what they must not share, and when another browser takes over."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from pims_pipeline.providers.idexx_neo.login import browser_thread, chromium
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.idexx_neo.login.browser_thread import BrowserUse
from pims_pipeline.providers.idexx_neo.login.chromium import BrowserStart, find_chromium
from pims_pipeline.providers.idexx_neo.login.pool import BrowserPool, close_idle_browsers
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.port import TransientError
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.idexx_neo.login.login_form import HTML
from pims_pipeline_tests.providers.idexx_neo.login.loop_clock import LoopClock
from pims_pipeline_tests.providers.idexx_neo.login.processes import is_alive, main_processes
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    Cookies,
    has_session_cookie,
)
from pims_pipeline_tests.providers.odd_server import OddServer, Response
from pims_pipeline_tests.providers.simulated_login import CLINIC, CREDENTIALS
from pims_pipeline_tests.providers.stopping import ended_by_stop, eventually

START = BrowserStart(executable=find_chromium(None))
LEAVE_AND_RETURN_WHAT_WAS_LEFT = """async () => {
  const found = [document.cookie, localStorage.getItem('a'), window.name,
                 (await navigator.permissions.query({name: 'geolocation'})).state];
  document.cookie = 'typed=1';
  localStorage.setItem('a', 'b');
  window.name = 'c';
  return found;
}"""


class Browsers:
    """The browsers that a test has started, without those of other tests."""

    def __init__(self) -> None:
        close_idle_browsers()
        self._others: set[psutil.Process] = set()
        eventually(self._only_the_shared_one)
        self._others = main_processes()

    def _only_the_shared_one(self) -> bool:
        return len(main_processes()) <= 1

    def all(self) -> set[psutil.Process]:
        return main_processes() - self._others

    @property
    def only(self) -> psutil.Process:
        (process,) = self.all()
        return process

    def wait_until_closed(self) -> None:
        eventually(lambda: not self.all(), 60)


@pytest.fixture
def browsers() -> Iterator[Browsers]:
    """Every browser of a test closes when no login uses it."""
    found = Browsers()
    yield found
    close_idle_browsers()
    found.wait_until_closed()


LOGIN_SECONDS = 20.0


def log_in(base_url: str, directory: Path) -> Cookies | None:
    options = LoginOptions(artifacts_dir=directory, timeout=LOGIN_SECONDS)
    return login(base_url, CREDENTIALS, options, accepts=has_session_cookie)


def forms_sent(control: SimulatorControl) -> int:
    return control.stats().requests["login_post"]


async def reusable(use: BrowserUse) -> None:
    """A login that ends at once, as expected."""
    use.is_reusable = True


async def unexpected(_: BrowserUse) -> None:
    """A login that does not say that it ended as expected."""


def test_logins_share_a_browser_and_nothing_in_it(server: OddServer, browsers: Browsers) -> None:
    headers = {"Set-Cookie": "guest=1; Max-Age=999", "Cache-Control": "max-age=999"}
    server.responses = [Response(200, b"<p>Hello</p>", HTML, headers)]
    pool = BrowserPool(START, 1)
    found: list[object] = []

    async def work(use: BrowserUse) -> None:
        await use.page.goto(server.base_url)
        found.append(await use.page.evaluate(LEAVE_AND_RETURN_WHAT_WAS_LEFT))
        await use.page.context.grant_permissions(["geolocation"])
        use.is_reusable = True

    pool.log_in(work, StopSignal())
    first = browsers.only
    pool.log_in(work, StopSignal())
    assert browsers.only == first
    assert found[0] == found[1]
    assert found[0] == ["guest=1", None, "", "prompt"]
    # Neither from the first one's cache, nor with its cookie.
    assert ["cookie" in each for each in server.headers] == [False, False]
    pool.close_idle()


def test_as_many_logins_as_the_limit_run_at_once(browsers: Browsers) -> None:
    pool = BrowserPool(START, 2)
    both = threading.Barrier(2)
    running: list[int] = []
    most: list[int] = []

    async def work(use: BrowserUse) -> None:
        running.append(1)
        most.append(len(running))
        await asyncio.to_thread(both.wait, 60)
        running.pop()
        use.is_reusable = True

    with ThreadPoolExecutor(4) as threads:
        logins = [threads.submit(pool.log_in, work, StopSignal()) for _ in range(4)]
        for each in logins:
            each.result(60)
    assert max(most) == 2
    assert len(browsers.all()) == 1
    pool.close_idle()


def test_a_browser_is_replaced_after_so_many_logins(browsers: Browsers) -> None:
    pool = BrowserPool(START, 1, most_logins=2)
    pool.log_in(reusable, StopSignal())
    first = browsers.only
    pool.log_in(reusable, StopSignal())
    browsers.wait_until_closed()
    pool.log_in(reusable, StopSignal())
    assert browsers.only != first
    pool.close_idle()


def test_a_browser_is_replaced_after_a_login_that_did_not_end_as_expected(
    browsers: Browsers,
) -> None:
    pool = BrowserPool(START, 1)
    pool.log_in(unexpected, StopSignal())
    browsers.wait_until_closed()


def test_an_idle_browser_closes(browsers: Browsers) -> None:
    pool = BrowserPool(START, 1, idle_seconds=0.5)
    pool.log_in(reusable, StopSignal())
    browsers.wait_until_closed()


def test_a_stop_ends_a_login_and_its_browser(browsers: Browsers) -> None:
    """The browser has closed by the time the login is left."""
    pool, stop, began = BrowserPool(START, 1), StopSignal(), threading.Event()

    async def work(use: BrowserUse) -> None:
        began.set()
        await use.page.wait_for_event("close", timeout=0)

    ended = ended_by_stop(lambda: pool.log_in(work, stop), stop, began.is_set)
    assert isinstance(ended, RunStopped)
    assert browsers.all() == set()


def test_a_stop_kills_a_browser_that_hangs(
    browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "_CLOSE_TIMEOUT", 1.0)
    pool, stop, began = BrowserPool(START, 1), StopSignal(), threading.Event()

    async def work(use: BrowserUse) -> None:
        browsers.only.send_signal(signal.SIGSTOP)
        began.set()
        await use.page.wait_for_event("close", timeout=0)

    ended = ended_by_stop(lambda: pool.log_in(work, stop), stop, began.is_set)
    assert isinstance(ended, RunStopped)
    assert browsers.all() == set()


def test_a_stopped_login_leaves_the_browser_to_the_other_one(browsers: Browsers) -> None:
    pool, stop = BrowserPool(START, 2), StopSignal()
    began, may_end = [threading.Event(), threading.Event()], threading.Event()

    async def stopped(use: BrowserUse) -> None:
        began[0].set()
        await use.page.wait_for_event("close", timeout=0)

    async def other(use: BrowserUse) -> str:
        began[1].set()
        await asyncio.to_thread(may_end.wait, 60)
        return str(await use.page.evaluate("'still here'"))

    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.log_in, other, StopSignal())
        work, both = partial(pool.log_in, stopped, stop), [each.is_set for each in began]
        ended = ended_by_stop(work, stop, lambda: all(is_set() for is_set in both))
        assert isinstance(ended, RunStopped)
        may_end.set()
        assert result.result(60) == "still here"
    browsers.wait_until_closed()


def test_a_browser_that_died_between_logins_is_replaced(
    simulator: SimulatorServer, control: SimulatorControl, browsers: Browsers, tmp_path: Path
) -> None:
    assert log_in(simulator.base_url, tmp_path)
    browsers.only.kill()
    assert log_in(simulator.base_url, tmp_path)
    assert forms_sent(control) == 2


def test_a_browser_that_dies_before_the_form_is_filled_in_is_replaced(
    simulator: SimulatorServer, control: SimulatorControl, browsers: Browsers, tmp_path: Path
) -> None:
    control.add_fault("hang", endpoint="login")
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(log_in, simulator.base_url, tmp_path)
        eventually(lambda: control.stats().requests["login_page"] == 1)
        browsers.only.kill()
        assert result.result(60) is not None
    assert forms_sent(control) == 1


def test_the_form_is_not_sent_again_when_the_browser_dies_after_it(
    simulator: SimulatorServer, control: SimulatorControl, browsers: Browsers, tmp_path: Path
) -> None:
    control.add_fault("hang", endpoint="login", company_id=CLINIC.company_id)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(log_in, simulator.base_url, tmp_path)
        eventually(lambda: forms_sent(control) == 1)
        browsers.only.kill()
        with pytest.raises(TransientError, match="lost its page"):
            result.result(60)
    assert forms_sent(control) == 1


def test_a_driver_that_dies_is_replaced_with_its_browser(
    simulator: SimulatorServer, control: SimulatorControl, browsers: Browsers, tmp_path: Path
) -> None:
    assert log_in(simulator.base_url, tmp_path)
    first = browsers.only
    first.parent().kill()
    assert log_in(simulator.base_url, tmp_path)
    eventually(lambda: not is_alive(first))
    assert forms_sent(control) == 2


def test_a_hung_browser_is_replaced_and_killed(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browsers: Browsers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert log_in(simulator.base_url, tmp_path)
    monkeypatch.setattr(browser_thread, "_PAGE_SECONDS", 2.0)
    monkeypatch.setattr(chromium, "_CLOSE_TIMEOUT", 1.0)
    hung = browsers.only
    hung.send_signal(signal.SIGSTOP)
    assert log_in(simulator.base_url, tmp_path)
    assert browsers.all() - {hung}
    eventually(lambda: not is_alive(hung), 60)
    assert forms_sent(control) == 2


@pytest.mark.usefixtures("no_page_to_picture")
def test_a_page_without_a_response_fails_its_own_login_only(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browsers: Browsers,
    tmp_path: Path,
    loop_clock: LoopClock,
) -> None:
    assert log_in(simulator.base_url, tmp_path)
    first = browsers.only
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as threads:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = threads.submit(log_in, address, tmp_path)
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            assert log_in(simulator.base_url, tmp_path)
            assert browsers.only == first
            assert not result.done()
            loop_clock.forward(LOGIN_SECONDS)
            with pytest.raises(TransientError):
                result.result(60)
    # It is not known what is wrong, so no other login gets the browser.
    eventually(lambda: not is_alive(first))
    assert log_in(simulator.base_url, tmp_path)
    assert forms_sent(control) == 3
