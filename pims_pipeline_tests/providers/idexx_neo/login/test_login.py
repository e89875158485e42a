"""Logging in with a real Chromium.

What may follow a login is tried out in one shared browser, because starting one takes
a second; a few tests start and end their own, to see that it does end.
"""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import psutil  # type: ignore[import-untyped] # ships no types
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.idexx_neo.login.chromium import (
    BrowserUnavailable,
    browser_page,
    find_chromium,
)
from pims_pipeline.providers.idexx_neo.login.environment import browser_environment
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    HumanNeeded,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    Cookies,
    SharedBrowser,
    shared_browser,
)
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server
from pims_pipeline_tests.providers.simulated_login import CLINIC, CREDENTIALS, clinic_at

HTML = "text/html; charset=utf-8"


@pytest.fixture(scope="module")
def browser() -> Iterator[SharedBrowser]:
    with shared_browser() as started:
        yield started


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


def form(extra: str = "", user_field: str = "name='username'") -> Response:
    """A login page with a static form, which a deployment without company ids has."""
    body = (
        f"<!doctype html><form method=post action=/login>{extra}<input {user_field}>"
        "<input type=password name=password><button type=submit>Sign in</button></form>"
    )
    return Response(200, body.encode(), HTML)


def test_a_right_login_gives_the_session_cookie(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    cookies = browser.log_in(simulator.base_url)
    assert cookies is not None
    assert [cookie.name for cookie in cookies if cookie.proves_login] == ["neo_session"]
    assert control.stats().logins[CLINIC.company_id] == 1
    assert browser.pictures == []


def test_a_wrong_password_is_refused_and_pictured(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
) -> None:
    assert browser.log_in(simulator.base_url, replace(CREDENTIALS, password="wrong")) is None
    assert [picture[:4] for picture in browser.pictures] == [b"\x89PNG"]
    assert control.stats().logins[CLINIC.company_id] == 0


@pytest.mark.parametrize(
    ("mode", "what"), [("code", "one-time code"), ("locked", "locked"), ("terms", "terms")]
)
def test_a_page_for_people_calls_for_one(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
    mode: Literal["code", "locked", "terms"],
    what: str,
) -> None:
    control.login_mode(CLINIC.company_id, mode)
    with pytest.raises(HumanNeeded, match=what) as raised:
        browser.log_in(simulator.base_url)
    assert raised.value.__notes__ == ["A screenshot is kept as kept.png."]


def test_a_missing_company_id_calls_for_a_person(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
) -> None:
    with pytest.raises(HumanNeeded, match="company id"):
        browser.log_in(simulator.base_url, replace(CREDENTIALS, company_id=None))
    assert control.stats().requests.get("login_post", 0) == 0


@pytest.mark.parametrize("fault", ["server_error", "rate_limited"])
def test_a_login_page_that_breaks_down_is_transient(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser, fault: str
) -> None:
    control.add_fault(fault, endpoint="login")
    with pytest.raises(TransientError):
        browser.log_in(simulator.base_url)


def test_a_hung_login_page_is_transient(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    control.add_fault("hang", endpoint="login")
    with pytest.raises(TransientError):
        browser.log_in(simulator.base_url, timeout_s=1)


def test_a_page_without_a_login_form_violates_the_contract(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    control.add_fault("html", endpoint="login")
    with pytest.raises(ContractViolation, match="no form"):
        browser.log_in(simulator.base_url, timeout_s=6)


def test_nobody_at_the_address_is_transient(browser: SharedBrowser) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="ERR_CONNECTION_REFUSED"):
            browser.log_in(f"http://127.0.0.1:{held.getsockname()[1]}")


@pytest.mark.parametrize("user_field", ["name='username'", "type=email name=who", "name=email"])
def test_a_page_without_company_ids_is_filled_in_all_the_same(
    server: OddServer, browser: SharedBrowser, user_field: str
) -> None:
    signed_in = Response(302, b"", headers={"Location": "/", "Set-Cookie": "PHPSESSION=1; Path=/"})
    server.responses = [
        form(user_field=user_field),
        signed_in,
        Response(200, b"calendar", HTML),
    ]
    cookies = browser.log_in(server.base_url, Credentials("vet@example.test", "pw", "1001"))
    assert cookies is not None
    assert ("PHPSESSION", "1") in [(cookie.name, cookie.value) for cookie in cookies]


def test_a_stale_form_is_not_mistaken_for_a_wrong_password(
    server: OddServer, browser: SharedBrowser
) -> None:
    stale = form("<p class=alert-danger>This form is out of date.</p>")
    server.responses = [form(), replace(stale, status=403)]
    with pytest.raises(TransientError, match="403"):
        browser.log_in(server.base_url)


def test_a_message_that_stood_there_before_is_not_an_answer(
    server: OddServer, browser: SharedBrowser
) -> None:
    notice = "<p class=alert-danger>You were signed out.</p>"
    signed_in = Response(302, b"", headers={"Location": "/", "Set-Cookie": "session=1; Path=/"})
    server.responses = [form(notice), signed_in, Response(200, b"calendar", HTML)]
    assert browser.log_in(server.base_url) is not None


@pytest.mark.parametrize(
    "after",
    [Response(200, b"<p>Hm.</p>", HTML), Response(302, b"", headers={"Location": "/no-cookie"})],
)
def test_a_login_that_leads_nowhere_calls_for_a_person(
    server: OddServer, browser: SharedBrowser, after: Response
) -> None:
    server.responses = [form(), after, Response(200, b"<p>Welcome</p>", HTML)]
    with pytest.raises(HumanNeeded, match="not known"):
        browser.log_in(server.base_url)


def test_a_picture_shows_nothing_that_was_typed(server: OddServer, browser: SharedBrowser) -> None:
    """Two failed logins with different words leave the very same picture."""
    refused_in_place = form(
        "<p class=error-message></p><script>addEventListener('submit', event => {"
        "event.preventDefault(); document.querySelector('p').textContent = 'Wrong.'})</script>"
    )
    server.responses = [refused_in_place]
    taken = []
    for words in (Credentials("ana", "hunter2"), Credentials("somebody else", "x")):
        with pytest.raises(ContractViolation, match="not sent"):
            browser.log_in(server.base_url, words)
        taken += browser.pictures
    assert taken[0] == taken[1]


PRIVATE = (
    b"<!doctype html><title>Dr. %(name)s</title><h1>Good morning, %(name)s</h1>"
    b"<p id=t>%(name)s, born 1 May %(year)s, 12 Mill Lane</p><input value='%(name)s'>"
    b"<select><option>%(name)s</select><textarea>%(name)s</textarea>"
    b'<img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"><text>%(name)s'
    b"</text></svg>'><svg><text y=20>%(name)s</text></svg><a title='%(name)s'>Please wait</a>"
    b"<div id=inner></div><script>inner.attachShadow({mode: 'open'}).innerHTML = "
    b"'<b>%(name)s</b>'; setInterval(() => t.textContent = '%(name)s', 5)</script>"
)


def test_a_picture_of_a_page_after_the_login_shows_nobodys_data(
    server: OddServer, browser: SharedBrowser
) -> None:
    """The picture is the same for any name on the page; the policy forbids the page new styles."""
    policy = {"Content-Security-Policy": "style-src 'none'"}
    taken = []
    for name, year in ((b"Ana Okafor", b"1990"), (b"Jo Li", b"77")):
        page = PRIVATE % {b"name": name, b"year": year}
        server.responses = [form(), Response(200, page, HTML, policy)]
        with pytest.raises(HumanNeeded) as raised:
            browser.log_in(server.base_url, timeout_s=20)
        assert "Okafor" not in str(raised.value)
        taken += browser.pictures
    assert taken[0] == taken[1]


BESIDE = "<script>addEventListener('submit', event => {{ event.preventDefault(); {} }})</script>"
SEND = (
    "fetch('/api', {{method: 'POST', body: JSON.stringify("
    "{{p: document.forms[0].password.value}})}}).then(() => {})"
)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (SEND.format("document.querySelector('p').textContent = 'Nope.'"), None),
        (SEND.format("alert('Your password is incorrect.')"), None),
        (
            SEND.format("document.querySelector('p').textContent = 'Your subscription has ended'"),
            HumanNeeded,
        ),
        (
            SEND.format("document.querySelector('p').textContent = 'Please try again later'"),
            TransientError,
        ),
        (
            SEND.format("document.querySelector('p').textContent = 'Your password has expired'"),
            HumanNeeded,
        ),
        ("document.querySelector('p').textContent = 'Wrong password'", ContractViolation),
        ("alert('Wrong password')", ContractViolation),
        ("", ContractViolation),
    ],
)
def test_credentials_are_refused_only_by_an_answer_to_them(
    server: OddServer, browser: SharedBrowser, script: str, outcome: type[Exception] | None
) -> None:
    server.responses = [form("<p class=alert-danger></p>" + BESIDE.format(script)), Response(401)]
    if outcome is None:
        assert browser.log_in(server.base_url) is None
    else:
        with pytest.raises(outcome):
            browser.log_in(server.base_url)


def test_a_session_that_answers_counts_whatever_the_page_still_shows(
    server: OddServer, browser: SharedBrowser
) -> None:
    """The form stays, and the cookie has any name; an error beside it is of something else."""
    stays = BESIDE.format(SEND.format("document.cookie = 'x=1; path=/'"))
    server.responses = [form(stays), Response(200)]
    cookies = browser.log_in(server.base_url, accepts=lambda cookies, _: bool(cookies))
    assert [(cookie.name, cookie.value) for cookie in cookies or ()] == [("x", "1")]


def test_a_certificate_that_the_browser_does_not_trust_gets_no_credentials(
    browser: SharedBrowser, tmp_path: Path
) -> None:
    with odd_server(certificate=self_signed(tmp_path)) as server:
        with pytest.raises(ContractViolation, match=r"certificate.*ERR_CERT_AUTHORITY_INVALID"):
            browser.log_in(server.base_url)
        assert server.paths == []


def self_signed(directory: Path) -> Path:
    """A certificate for 127.0.0.1 that no authority signed, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = directory / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def test_no_error_tells_what_was_typed(server: OddServer, browser: SharedBrowser) -> None:
    """The password field goes away while it is being filled, which Playwright would quote."""
    vanishing = form(
        "<script>addEventListener('focusin', () => document.forms[0].remove(), true)</script>"
    )
    server.responses = [vanishing]
    with pytest.raises((TransientError, ContractViolation)) as raised:
        browser.log_in(server.base_url, Credentials("ana", "hunter2"), timeout_s=6)
    chain: BaseException | None = raised.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__ or chain.__context__


def browsers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if "chrom" in child.name()]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; an ended one may linger until a container's init takes note."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def own_login(base_url: str, directory: Path, timeout_s: float = 20) -> Cookies | None:
    return login(
        base_url,
        CREDENTIALS,
        LoginOptions(artifacts_dir=directory, timeout=timeout_s),
        accepts=lambda *_: False,
        subject="riverbend",
    )


def test_a_failed_login_leaves_a_private_picture_and_no_browser_even_inside_a_loop(
    simulator: SimulatorServer, control: SimulatorControl, tmp_path: Path
) -> None:
    control.login_mode(CLINIC.company_id, "code")
    before = set(filter(is_alive, browsers_of(psutil.Process())))

    async def inside_a_loop() -> None:
        own_login(simulator.base_url, tmp_path / "artifacts")

    with pytest.raises(HumanNeeded):
        asyncio.run(inside_a_loop())
    (picture,) = (tmp_path / "artifacts").iterdir()
    assert picture.name.startswith("login-riverbend-")
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    assert stat.S_IMODE(picture.parent.stat().st_mode) == 0o700
    # The shared browser of other tests may end processes of its own during that time.
    assert set(filter(is_alive, browsers_of(psutil.Process()))) <= before


SECRETS = {
    name: f"hunter2-{name}"
    for name in (
        *("ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "PIMS_DATABASE_URL", "DAGSTER_POSTGRES_URL"),
        *("PIMS_API_DATABASE_URL", "SLACK_BOT_TOKEN", "AXIOM_TOKEN", "PIMS_METRICS_TOKEN"),
        *("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "NOBODY_KNOWS_THIS_ONE"),
    )
}
INTERRUPTED = """
import sys
from pathlib import Path
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.port import Credentials
options = LoginOptions(artifacts_dir=Path(sys.argv[2]), timeout=60)
login(sys.argv[1], Credentials("ana", "hunter2", "1"), options, accepts=lambda *_: True)
"""


def test_ctrl_c_ends_the_browser_before_it_ends_the_program(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        program = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", INTERRUPTED, address, str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **SECRETS, "HTTPS_PROXY": "http://ana:hunter2@proxy.test:8080"},
        )
        try:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                started = browsers_of(psutil.Process(program.pid))
                assert started
                arguments = [word for child in started for word in child.cmdline()]
                helpers = psutil.Process(program.pid).children(recursive=True)
                environments = {child.pid: child.environ() for child in helpers}
                names = {child.name() for child in helpers}
                dumps = {child.rlimit(psutil.RLIMIT_CORE) for child in helpers}
                program.send_signal(signal.SIGINT)
                _, errors = program.communicate(timeout=60)
        finally:
            program.kill()
            program.wait()
    assert "KeyboardInterrupt" in errors
    assert "hunter2" not in "".join([errors, *arguments])
    # Playwright's driver, the browser, and everything that it starts.
    assert {"node", "chromium"} <= {name.partition("-")[0] for name in names}
    assert [name for each in environments.values() for name in each if name in SECRETS] == []
    assert "hunter2" not in str(list(environments.values()))
    assert {each.get("HTTPS_PROXY") for each in environments.values()} == {
        None,
        "http://proxy.test:8080",
    }
    assert dumps == {(0, 0)}
    assert [child for child in started if is_alive(child)] == []


def test_a_first_question_that_is_never_answered_ends_with_the_logins_time(
    simulator: SimulatorServer, control: SimulatorControl, tmp_path: Path
) -> None:
    control.add_fault("drip", endpoint="listing", times=None, seconds=0.1)
    provider = IdexxNeoProvider(
        clinic_at(simulator.base_url),
        ProviderOptions(
            login=LoginOptions(artifacts_dir=tmp_path, timeout=15),
            requests=RequestOptions(total_timeout=3600),
        ),
    )

    with pytest.raises(TransientError, match="the login did not finish in time"):
        provider.authenticate(CREDENTIALS)
    with pytest.raises(SessionExpired):
        provider.export_session()
    provider.close()


def test_the_questions_after_a_login_have_more_time_than_the_login(
    simulator: SimulatorServer,
    control: SimulatorControl,  # noqa: ARG001 - lets go of the faults of other tests
    tmp_path: Path,
) -> None:
    today = datetime.now(UTC).astimezone(CLINIC.zone).date()
    provider = IdexxNeoProvider(
        clinic_at(simulator.base_url),
        ProviderOptions(
            login=LoginOptions(artifacts_dir=tmp_path, timeout=15),
        ),
    )
    later = 0.0
    provider.watch(StopSignal(clock=lambda: time.monotonic() + later))

    assert provider.authenticate(CREDENTIALS)
    later = 3600.0
    assert provider.fetch_appointments(DateRange(today, today)).complete
    provider.close()


def test_a_configured_browser_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BrowserUnavailable, match=r"make setup.*PIMS_CHROMIUM_PATH"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path, chromium_path=tmp_path / "no-chromium"),
            accepts=lambda *_: True,
        )


def test_a_program_that_is_no_browser_names_the_remedy(tmp_path: Path) -> None:
    pretender = tmp_path / "chromium"
    pretender.write_text("#!/bin/sh\nexit 1\n")
    pretender.chmod(0o755)
    with pytest.raises(BrowserUnavailable, match="does not start"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path, chromium_path=pretender),
            accepts=lambda *_: True,
        )


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, True), (1000, False)])
def test_only_root_or_who_says_so_goes_without_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, user: int, allowed: bool
) -> None:
    pretender = tmp_path / "chromium"
    pretender.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\necho "No usable sandbox!" >&2\n')
    pretender.chmod(0o755)
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(BrowserUnavailable, match="PIMS_BROWSER_SANDBOX=false"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path, chromium_path=pretender, sandbox=allowed),
            accepts=lambda *_: True,
        )
    without = "--no-sandbox" in (tmp_path / "said").read_text().split()
    assert without == (user == 0 or not allowed)


def test_a_browser_starts_on_no_loop_that_would_hand_on_secrets(tmp_path: Path) -> None:
    async def start() -> None:
        async with browser_page(tmp_path / "any", headless=True, timeout_s=1):
            raise AssertionError("it started")

    with pytest.raises(TypeError, match="bare_runner"):
        asyncio.run(start())


def test_a_window_finds_its_display_and_a_proxy_loses_its_password(tmp_path: Path) -> None:
    (tmp_path / ".Xauthority").touch()
    ours = {
        "HOME": str(tmp_path),
        "PATH": "/bin",
        "LC_ALL": "C",
        "DISPLAY": ":0",
        "https_proxy": "ana:hunter2@proxy.test:8080",
        "NO_PROXY": "localhost",
        "DATABASE_URL": "postgresql://hunter2@db",
    }
    scratch = Path("/scratch")
    expected = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "https_proxy": "proxy.test:8080",
        "NO_PROXY": "localhost",
        "HOME": "/scratch",
        "TMPDIR": "/scratch",
    }
    window = {"DISPLAY": ":0", "XAUTHORITY": str(tmp_path / ".Xauthority")}
    assert browser_environment(ours, scratch, headless=True) == expected
    assert browser_environment(ours, scratch, headless=False) == {**expected, **window}


def test_the_configured_browser_wins_over_those_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert find_chromium(None) is None
    for name in ("google-chrome", "chromium"):
        (tmp_path / name).touch(mode=0o755)
    assert find_chromium(None) == tmp_path / "chromium"
    assert find_chromium(tmp_path / "mine") == tmp_path / "mine"
