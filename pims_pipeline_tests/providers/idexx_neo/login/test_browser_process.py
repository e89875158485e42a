"""The browser's process: how it starts, what it inherits, and that it ends."""

import asyncio
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import playwright
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from pims_pipeline.providers.idexx_neo.login.arguments import ARGUMENTS
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.idexx_neo.login.chromium import (
    BrowserStart,
    BrowserUnavailable,
    find_chromium,
    running_browser,
)
from pims_pipeline.providers.idexx_neo.login.environment import browser_environment
from pims_pipeline.providers.idexx_neo.login.pool import close_idle_browsers
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.port import (
    HumanNeeded,
)
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.idexx_neo.login.processes import browsers_of, is_alive, pages
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    Cookies,
)
from pims_pipeline_tests.providers.simulated_login import CLINIC, CREDENTIALS
from pims_pipeline_tests.providers.stopping import eventually


def own_login(base_url: str, directory: Path, timeout_s: float = 20) -> Cookies | None:
    return login(
        base_url,
        CREDENTIALS,
        LoginOptions(artifacts_dir=directory, timeout=timeout_s),
        accepts=lambda *_: False,
        subject="riverbend",
    )


def test_a_failed_login_leaves_a_private_picture_and_no_page_even_inside_a_loop(
    simulator: SimulatorServer, control: SimulatorControl, tmp_path: Path
) -> None:
    control.login_mode(CLINIC.company_id, "code")
    before = pages()

    async def inside_a_loop() -> None:
        own_login(simulator.base_url, tmp_path / "artifacts")

    with pytest.raises(HumanNeeded):
        asyncio.run(inside_a_loop())
    (picture,) = (tmp_path / "artifacts").iterdir()
    assert picture.name.startswith("login-riverbend-")
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    assert stat.S_IMODE(picture.parent.stat().st_mode) == 0o700
    # Closing a page does not wait for its process.
    eventually(lambda: pages() <= before)
    close_idle_browsers()


SECRETS = {
    name: f"hunter2-{name}"
    for name in (
        *("ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "PIMS_DATABASE_URL", "DAGSTER_POSTGRES_URL"),
        *("PIMS_API_DATABASE_URL", "SLACK_BOT_TOKEN", "AXIOM_TOKEN", "PIMS_METRICS_TOKEN"),
        *("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "OF_ANOTHER_PROGRAM"),
    )
}
INTERRUPTED = """
import sys
from pathlib import Path
from pims_pipeline.providers.idexx_neo.login.arguments import ARGUMENTS
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.idexx_neo.login.pool import close_idle_browsers
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.idexx_neo.description import neo_credentials
options = LoginOptions(artifacts_dir=Path(sys.argv[2]), timeout=60)
login(sys.argv[1], neo_credentials("ana", "hunter2", "1"), options, accepts=lambda *_: True)
"""


ENDED = """
import os, sys, psutil
from pathlib import Path
from pims_pipeline.providers.idexx_neo.login.arguments import ARGUMENTS
from pims_pipeline.providers.idexx_neo.login.attempt import login
from pims_pipeline.providers.idexx_neo.login.pool import BrowserPool
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.idexx_neo.description import neo_credentials

def log_in():
    options = LoginOptions(artifacts_dir=Path(sys.argv[2]), timeout=60)
    credentials = neo_credentials("demo", "demo-1001", "1001")
    assert login(sys.argv[1], credentials, options, accepts=lambda *_: True)

# A busy machine must not make a browser idle between two steps of a test.
BrowserPool.__init__.__kwdefaults__["idle_seconds"] = 600.0

def show_processes():
    print(*(each.pid for each in psutil.Process().children(recursive=True)), flush=True)

log_in()
"""
AS_USUAL = "show_processes()"
BY_AN_ERROR = "show_processes(); raise SystemExit(3)"
KILLED = "show_processes(); os.kill(os.getpid(), 9)"
KILLED_WITH_A_CHILD = """
child = os.fork()
if child == 0:
    sys.stdin.readline()
    os._exit(0)
show_processes()
os.kill(os.getpid(), 9)
"""
FORKED = """
show_processes()
child = os.fork()
if child == 0:
    log_in()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
log_in()
show_processes()
"""


def run_program(script: str, base_url: str, directory: Path) -> tuple[int, list[set[int]]]:
    """Run ``ENDED`` with ``script``: its exit code, and the processes it showed each time."""
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", ENDED + script, base_url, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        shown = [program.stdout.readline()]
        if script != KILLED_WITH_A_CHILD:
            shown += program.stdout.readlines()
        code = program.wait(60)
        found = [{int(word) for word in line.split()} for line in shown]
        eventually(lambda: not set(filter(has_browser, found[0])))
    return code, found


def has_browser(process_id: int) -> bool:
    """Whether the process is one of a browser or its driver, and still runs."""
    with suppress(psutil.Error):
        process = psutil.Process(process_id)
        return is_alive(process) and any(word in process.name() for word in ("node", "chrom"))
    return False


@pytest.mark.parametrize(
    ("script", "code"),
    [(AS_USUAL, 0), (BY_AN_ERROR, 3), (KILLED, -9), (KILLED_WITH_A_CHILD, -9)],
)
def test_no_browser_outlives_its_process(
    simulator: SimulatorServer,
    control: SimulatorControl,  # noqa: ARG001 - resets the simulator
    tmp_path: Path,
    script: str,
    code: int,
) -> None:
    ended, (processes,) = run_program(script, simulator.base_url, tmp_path)
    assert ended == code
    assert len(processes) > 2


def test_a_forked_child_uses_a_browser_of_its_own(
    simulator: SimulatorServer,
    control: SimulatorControl,
    tmp_path: Path,
) -> None:
    """The parent's browser goes on, although the child ends first."""
    code, (before, after) = run_program(FORKED, simulator.base_url, tmp_path)
    assert code == 0
    assert control.stats().logins[CLINIC.company_id] == 3
    assert before & after


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


def test_a_configured_browser_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BrowserUnavailable, match=r"make setup.*PIMS_CHROMIUM_PATH"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path, chromium_path=tmp_path / "no-chromium"),
            accepts=lambda *_: True,
        )


def test_a_driver_that_ends_at_once_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", "/bin/false")

    with pytest.raises(BrowserUnavailable, match="driver, which controls the browser, does not"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path),
            accepts=lambda *_: True,
            subject="riverbend",
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
def test_only_root_or_a_setting_runs_without_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, user: int, allowed: bool
) -> None:
    pretender = tmp_path / "chromium"
    pretender.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/args\necho "No usable sandbox!" >&2\n')
    pretender.chmod(0o755)
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(BrowserUnavailable, match="PIMS_BROWSER_SANDBOX=false"):
        login(
            "http://127.0.0.1:1",
            CREDENTIALS,
            LoginOptions(artifacts_dir=tmp_path, chromium_path=pretender, sandbox=allowed),
            accepts=lambda *_: True,
        )
    without = "--no-sandbox" in (tmp_path / "args").read_text().split()
    assert without == (user == 0 or not allowed)


def test_a_browser_starts_on_no_loop_that_would_hand_on_secrets(tmp_path: Path) -> None:
    async def start() -> None:
        async with running_browser(BrowserStart(executable=tmp_path / "any")):
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


def test_the_features_that_playwright_turns_off_stay_off() -> None:
    """Chromium obeys the last ``--disable-features`` only, which is ours."""
    driver = Path(playwright.__file__).parent / "driver" / "package" / "lib" / "coreBundle.js"
    source = driver.read_text(encoding="utf-8")
    (listed,) = re.findall(r"disabledFeatures = \[(.*?)\]\.filter", source, re.DOTALL)
    theirs = set(re.findall(r'^\s*"(\w+)",?$', listed, re.MULTILINE))
    (ours,) = (word for word in ARGUMENTS if word.startswith("--disable-features="))
    assert "HttpsUpgrades" in theirs
    assert theirs <= set(ours.partition("=")[2].split(","))
