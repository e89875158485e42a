"""What web pages, other processes and other users can reach of ``pims up``.

All tests share one start, which is slow.
"""

import base64
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest
from playwright.sync_api import WebSocket

from pims_pipeline.cli.up.environment import (
    ALLOWED_SECRETS,
    api_environment,
    code_server_environment,
    dagster_service_environment,
    plain_environment,
)
from pims_pipeline.settings import secret_variable_names
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.foreign_pages import (
    REBOUND,
    browser_tab,
    command_dagster,
    command_simulator,
    foreign_server,
    mutation,
    read_as_rebound,
)
from pims_pipeline_tests.cli.processes import (
    TIMEOUT_SECONDS,
    command_line,
    descendants,
    output_until,
    own_home,
    started,
    until,
)
from pims_pipeline_tests.cli.up.test_up import free_port
from pims_pipeline_tests.observability.stand_ins import Watcher, serving

GIVEN = {
    "ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    "ENCRYPTION_KEYS_RETIRED": base64.b64encode(secrets.token_bytes(32)).decode(),
    "PIMS_METRICS_TOKEN": secrets.token_hex(24),
    "PIMS_HEARTBEAT_URL": secrets.token_hex(24),
    "UNRELATED_SECRET": secrets.token_hex(24),
}
"""Secrets in the environment of ``pims up``: the heartbeat's is the path of its URL, the last is
not one of our settings."""
ALLOWED = {
    "dagster-code-server": {"ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "PIMS_HEARTBEAT_URL"},
    "dagster": set(),
    "pims-serve": {"PIMS_METRICS_TOKEN"},
    "pims-simulate": set(),
    "postgres": set(),
    "browser": set(),
}
KINDS = {
    "code_server.main": "dagster-code-server",
    "up.dagster_process": "dagster",
    "main() serve": "pims-serve",
    "up.simulator": "pims-simulate",
    "postgres": "postgres",
}
BROWSER = re.compile(r"chrom|playwright")
"""In the command lines of the browser that logs in, its helpers and its driver."""
CONCURRENCY = "{ instance { concurrencyLimits { concurrencyKey } } }"


@dataclass(frozen=True)
class Up:
    """A running ``pims up --demo``."""

    process: "Popen[str]"
    home: Path
    port: int
    api_port: int
    output: str
    watcher: Watcher

    @property
    def simulator(self) -> str:
        """Host and port of the simulator."""
        found = re.search(r"Simulated [^:]+: http://(\S+)", self.output)
        assert found is not None
        return found[1]

    def database(self) -> list[psutil.Process]:
        """The embedded server's processes, which are not descendants of ``pims up``."""
        pid = int((self.home / "postgres" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        return [server, *server.children()]

    def ask(self, query: str) -> Any:
        """The data of a response of Dagster's GraphQL API."""
        with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            url = f"http://127.0.0.1:{self.port}/graphql"
            return client.post(url, json={"query": query}).raise_for_status().json()["data"]

    def limits(self) -> set[str]:
        """The concurrency limits that the tests' mutations have set."""
        found = self.ask(CONCURRENCY)["instance"]["concurrencyLimits"]
        return {each["concurrencyKey"] for each in found}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """Everything, started in a shell with a umask of 000 and secrets in its environment.

    Its home is one that an earlier version left open to others.
    """
    with own_home() as home:
        home.mkdir()
        home.chmod(0o777)
        port, api_port = free_port(), free_port()
        before = os.umask(0)
        try:
            words = ("up", "--demo", f"--port={port}", f"--api-port={api_port}")
            with serving(watcher := Watcher()):
                path = GIVEN["PIMS_HEARTBEAT_URL"]
                given = {**GIVEN, "PIMS_HEARTBEAT_URL": f"{watcher.address}{path}"}
                with started(home, *words, **given) as process:
                    os.umask(before)
                    output = output_until(process, "Ctrl-C stops everything.")
                    yield Up(process, home, port, api_port, output, watcher)
        finally:
            os.umask(before)


def kind(process: psutil.Process) -> str:
    """The kind of a process of ``pims up``."""
    words = " ".join(command_line(process))
    return next((kind for part, kind in KINDS.items() if part in words), words)


def known_secrets(process: psutil.Process) -> set[str]:
    """Which of the secrets are in a process's environment, under whatever name."""
    values = "\n".join(process.environ().values())
    return {name for name, secret in GIVEN.items() if secret in values}


def test_no_foreign_page_commands_dagster(up: Up) -> None:
    with foreign_server() as port, browser_tab() as page:
        outcomes = [
            command_dagster(page, f"http://{name}:{port}", f"127.0.0.1:{up.port}")
            for name in ("127.0.0.1", "localhost", REBOUND)
        ]
        shown = read_as_rebound(page, up.port, "/")
    up.ask(mutation("ours"))

    assert up.limits() == {"ours"}
    assert [each[-3:] for each in outcomes] == [["refused"] * 3] * 3
    assert shown[0] == 421
    assert "PIMS_ALLOWED_HOSTS" in shown[1]


def test_no_foreign_page_commands_the_simulator_or_reads_the_api(up: Up) -> None:
    with closing(SimulatorControl(f"http://{up.simulator}")) as control:
        control.reset()
        httpx2.get(f"http://{up.simulator}/login", trust_env=False)
        with foreign_server() as port, browser_tab() as page:
            outcomes = [
                command_simulator(page, f"http://{name}:{port}", up.simulator)
                for name in ("127.0.0.1", "localhost", REBOUND)
            ]
            simulator_port = int(up.simulator.rpartition(":")[2])
            responses = [
                read_as_rebound(page, simulator_port, "/_control/stats"),
                read_as_rebound(page, up.api_port, "/metrics"),
                read_as_rebound(page, up.api_port, "/docs"),
            ]
        left = control.stats().requests["login_page"]
        control.reset()
        reset = control.stats().requests["login_page"]

    assert (left, reset) == (1, 0)
    assert [each[-1] for each in outcomes] == ["refused"] * 3
    assert [status for status, _ in responses] == [421, 421, 421]


def test_dagster_s_own_ui_works_behind_the_guard(up: Up) -> None:
    frames: list[str | bytes] = []

    def follow(socket: WebSocket) -> None:
        # From its opening: the first frame may come before the page has loaded, and the only one.
        # Playwright cannot take a built-in method such as append.
        socket.on("framereceived", received)

    def received(frame: str | bytes) -> None:
        frames.append(frame)

    with browser_tab() as page:
        page.on("websocket", follow)
        page.goto(f"http://localhost:{up.port}/locations/pims_pipeline/asset-groups/pims")
        page.get_by_text("consultations", exact=True).locator("visible=true").first.wait_for()
        while not frames:
            page.wait_for_timeout(50)


def test_each_process_knows_the_secrets_that_it_needs_and_no_others(up: Up) -> None:
    key = re.search(r"X-API-Key: (\w+)", up.output)
    assert key is not None
    with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        client.post(
            f"http://127.0.0.1:{up.api_port}/api/sync/inbound", headers={"X-API-Key": key[1]}
        ).raise_for_status()
    found: dict[tuple[int, float], tuple[str, set[str]]] = {}
    words: set[str] = set()

    def run_has_logged_in() -> bool:
        for each in [*descendants(up.process), *up.database()]:
            try:
                words.update(each.cmdline())
                found[each.pid, each.create_time()] = (run_or_kind(each), known_secrets(each))
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            except psutil.AccessDenied:
                # The browser's helpers in its sandbox hide their environment.
                assert run_or_kind(each) == "browser"
        return {"run", "browser"} <= {kind for kind, _ in found.values()}

    until(run_has_logged_in, up.process)
    allowed: Mapping[str, set[str]] = {**ALLOWED, "run": ALLOWED["dagster-code-server"]}

    assert {kind for kind, _ in found.values()} == allowed.keys()
    assert [each for each in found.values() if not each[1] <= allowed[each[0]]] == []
    assert [word for word in words if any(secret in word for secret in GIVEN.values())] == []


def run_or_kind(process: psutil.Process) -> str:
    """What a process is; those that the code server starts belong to runs, or to their logins."""
    # The driver is another program of Playwright's, the browser and its helpers are Chromium's.
    if BROWSER.search(" ".join(command_line(process))):
        return "browser"
    parents = [command_line(each) for each in process.parents()]
    if any("code_server.main" in word for words in parents for word in words):
        return "run"
    return kind(process)


def test_the_heartbeat_s_address_reaches_the_process_that_calls_it(up: Up) -> None:
    up.watcher.wait_for(1, seconds=TIMEOUT_SECONDS)

    assert set(up.watcher.asked) == {f"/{GIVEN['PIMS_HEARTBEAT_URL']}"}


def test_other_users_can_neither_read_nor_write_its_files(up: Up) -> None:
    open_to_others = {
        str(path.relative_to(up.home)): stat.filemode(path.lstat().st_mode)
        for path in up.home.rglob("*")
        if not path.is_symlink()
        and path.lstat().st_mode & 0o077
        # The database server's socket, in its own directory.
        and not path.is_socket()
    }

    assert open_to_others == {}
    # Where root starts it, the server runs as another user, who passes through.
    assert stat.S_IMODE(up.home.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)


EVERYTHING = {
    **{name: f"secret of {name}" for name in secret_variable_names()},
    **dict.fromkeys(("PATH", "LC_ALL", "PYTHONPATH", "SLACK_CHANNEL", "PIMS_HOME"), "x"),
    **dict.fromkeys(("HTTPS_PROXY", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"), "x"),
}
DAGSTER = {"DAGSTER_HOME": "x", "DAGSTER_POSTGRES_URL": "secret of DAGSTER_POSTGRES_URL"}


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("pims-simulate", plain_environment(EVERYTHING)),
        ("dagster", dagster_service_environment(EVERYTHING, DAGSTER)),
        ("dagster-code-server", code_server_environment(EVERYTHING, DAGSTER, {})),
        ("pims-serve", api_environment(EVERYTHING, {})),
    ],
)
def test_a_secret_setting_reaches_the_processes_that_are_listed_for_it(
    name: str, environment: Mapping[str, str]
) -> None:
    known = {each for each in secret_variable_names() if each in environment}

    assert known == ALLOWED_SECRETS[name]
    assert {"PATH", "LC_ALL", "PYTHONPATH"} <= environment.keys()
    assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_every_secret_setting_but_that_of_the_links_has_a_process_that_needs_it() -> None:
    needed = frozenset[str]().union(*ALLOWED_SECRETS.values())

    assert secret_variable_names() - needed == {"DAGSTER_GRAPHQL_URL", "IDEXX_ENCRYPTION_KEY"}


def test_the_schema_of_the_tables_reaches_each_process_that_reads_them() -> None:
    given = {"PIMS_DATABASE_SCHEMA": "pims"}

    for environment in (code_server_environment(given, {}, {}), api_environment(given, {})):
        assert environment["PIMS_DATABASE_SCHEMA"] == "pims"


def test_the_api_knows_neither_the_owner_s_password_nor_half_of_a_pair() -> None:
    assert not {"PGPASSWORD", "SLACK_CHANNEL"} & api_environment(EVERYTHING, {}).keys()
