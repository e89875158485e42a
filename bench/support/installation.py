"""An installed pipeline to measure, of this checkout or of another: its commands, and one clinic.

It is used as an operator uses it, through the command line and the API, so that two versions are
measured alike. The database and the simulated vendor are this checkout's.
"""

import json
import os
import secrets
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types
from support.measured import Finished, run

SLUG = "bench"
COMPANY = "1001"
_PASSED = ("PATH", "HOME", "LANG", "TMPDIR", "PIMS_CHROMIUM_PATH", "PIMS_BROWSER_SANDBOX")
_START_SECONDS = 180
_STOP_SECONDS = 120


@dataclass(frozen=True)
class Installation:
    """The commands of one environment, on one database.

    Attributes:
        python: The interpreter of the environment.
        environment: All variables that its commands get; secret.
    """

    python: Path
    environment: dict[str, str] = field(repr=False)

    @classmethod
    def at(cls, python: Path, home: Path, database_url: str) -> Self:
        """The installation of an interpreter, with its files in ``home``."""
        variables = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return cls(
            python,
            {
                **variables,
                "PIMS_HOME": str(home),
                "PIMS_DATABASE_URL": database_url,
                "ENCRYPTION_KEY": b64encode(secrets.token_bytes(32)).decode(),
                "LOG_LEVEL": "WARNING",
            },
        )

    def on(self, database_url: str) -> "Installation":
        """The same installation with another way to its database."""
        return replace(self, environment={**self.environment, "PIMS_DATABASE_URL": database_url})

    def pims(self, *words: str, typed: str = "") -> Finished:
        """Run a command of ``pims``."""
        command = [self.python.with_name("pims"), *words]
        return run(command, self.environment, typed=typed)

    def add_clinic(self, vendor_url: str) -> None:
        """Make the tables and one clinic with its login, and sync it once: a browser logs in."""
        self.pims("migrate")
        clinic = ("--name", "Bench", "--timezone", "America/New_York", "--provider", "idexx_neo")
        self.pims("clinics", "add", SLUG, *clinic, "--base-url", vendor_url)
        login = ("--company-id", COMPANY, "--username", "demo", "--password-stdin")
        self.pims("credentials", "set", SLUG, *login, typed=f"demo-{COMPANY}\n")
        self.full_sync()

    def full_sync(self) -> Finished:
        """Sync the clinic over its usual window: seven days back, seven ahead."""
        return self.pims("sync", "full", "--clinic", SLUG)

    @contextmanager
    def up(self, api_database_url: str) -> Iterator["RunningApi"]:
        """``pims up``, with a key to its API; stopped after the block."""
        made = self.pims("keys", "create", SLUG, "--name", "Bench", "--json").output
        ui, api = free_ports(2)
        process = subprocess.Popen(
            [self.python.with_name("pims"), "up", "--port", str(ui), "--api-port", str(api)],
            env={**self.environment, "PIMS_API_DATABASE_URL": api_database_url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            running = RunningApi(
                httpx2.Client(
                    base_url=f"http://127.0.0.1:{api}",
                    headers={"X-API-Key": json.loads(made)["key"]},
                    timeout=150,
                    trust_env=False,
                ),
                psutil.Process(process.pid),
            )
            running.wait_until_ready()
            yield running
            running.client.close()
        finally:
            # Not SIGINT, which a shell's background jobs ignore.
            process.terminate()
            process.wait(_STOP_SECONDS)


@dataclass(frozen=True)
class RunningApi:
    """The API of a running ``pims up``, and the process that started all others."""

    client: httpx2.Client
    process: psutil.Process

    def wait_until_ready(self) -> None:
        """Return once ``/ready`` responds with 200."""
        deadline = monotonic() + _START_SECONDS
        while monotonic() < deadline:
            assert self.process.is_running(), "pims up ended"
            with suppress(httpx2.TransportError):
                if self.client.get("/ready").status_code == 200:
                    return
            sleep(0.5)
        raise TimeoutError("pims up is not ready")

    def full_sync(self) -> None:
        """Request a full sync, and wait for its result."""
        response = self.client.post("/api/sync/full", headers={"Prefer": "wait=120"})
        assert response.status_code == 200, response.text


def free_ports(number: int) -> list[int]:
    """So many ports that no one listens on."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in listeners]
    for each in listeners:
        each.close()
    return ports
