"""``deploy/compose.yaml`` played without containers: its commands as processes of this machine.

Each service gets the variables that its container would have, and no others; its secrets are files.
A service starts when those that it depends on are as ``depends_on`` says. What a container engine
adds (networks, users, limits) is not played.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it carries no types

DEPLOY = Path(__file__).parents[2] / "deploy"
START_SECONDS = 120.0
_DEFAULT = re.compile(r"\$\{(\w+)(?::([-+])([^}]*))?\}")
_PIMS = "from pims_pipeline.cli.main import main; main()"


def compose_file() -> dict[str, Any]:
    """The parsed file, with the defaults of its variables."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    unset = _DEFAULT.sub(lambda found: found[3] if found[2] == "-" else "", text)
    parsed: dict[str, Any] = yaml.safe_load(unset)
    return parsed


def image_variables() -> dict[str, str]:
    """The variables that the Dockerfile's last stage sets."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    words = [
        word
        for line in last.splitlines()
        if line.startswith("ENV ")
        for word in shlex.split(line)[1:]
    ]
    return dict(word.split("=", 1) for word in words)


def image_entry() -> list[str]:
    """What the image runs before a command, without ``tini``."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    [line] = re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
    words: list[str] = json.loads(line)
    assert words[:2] == ["/usr/bin/tini", "--"]
    return words[2:]


def in_order(services: Mapping[str, Any]) -> list[str]:
    """The services, each after those that it depends on.

    Raises:
        ValueError: If they depend on each other in a circle, or on a service that is missing.
    """
    ordered: list[str] = []
    while len(ordered) < len(services):
        ready = [
            name
            for name, service in services.items()
            if name not in ordered and set(service.get("depends_on", {})) <= set(ordered)
        ]
        if not ready:
            raise ValueError("the services wait for each other")
        ordered += ready
    return ordered


class Composition:
    """The running services.

    Args:
        directory: Where the secrets are files, and where each service may write.
        addresses: What replaces an address of a container in variables and arguments.
        secrets: The content of each secret, by its name in the file.
        more: Variables for every service; they replace those of the image.
    """

    def __init__(
        self,
        directory: Path,
        addresses: Mapping[str, str],
        secrets: Mapping[str, str],
        more: Mapping[str, str],
    ) -> None:
        self.services: dict[str, Any] = compose_file()["services"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.states: dict[str, str] = {"postgres": "service_healthy"}
        self._directory = directory
        self._addresses = addresses
        self._more = more
        self._secrets = directory / "secrets"
        self._secrets.mkdir(mode=0o700)
        for name, content in secrets.items():
            path = self._secrets / name
            path.touch(mode=0o400)
            path.chmod(0o600)
            path.write_text(content, encoding="utf-8")

    def start(self) -> None:
        """Start every service in order, each when those before it are as it requires."""
        for name in in_order(self.services):
            if name == "postgres":
                continue
            for other, condition in self.services[name]["depends_on"].items():
                self._reach(other, condition["condition"])
            self._run(name)
        for name in self.processes.keys() - {"migrate"}:
            self._reach(name, "service_healthy")

    def check(self, name: str) -> int:
        """The exit status of a service's health check."""
        test = self.services[name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        return self.execute(name, *test[1:], *self._port_of(name)).returncode

    def execute(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """The result of a command of ``pims`` in the environment of a service."""
        return subprocess.run(  # noqa: S603 - this interpreter, arguments of the tests
            self._command(list(words)),
            env=self._environment(name),
            check=False,
            capture_output=True,
            text=True,
        )

    def address_of(self, name: str) -> str:
        """Where a service listens that listens at one port."""
        [port] = self._port_of(name)
        return f"127.0.0.1:{port.removeprefix('--port=')}"

    def log(self, name: str) -> str:
        """What a service printed."""
        return (self._directory / f"{name}.log").read_text(encoding="utf-8")

    def stop(self) -> dict[str, int]:
        """End the services in the reverse order, as the engine does; returns exit statuses.

        Raises:
            subprocess.TimeoutExpired: If one takes longer than its grace period.
        """
        for name in reversed(in_order(self.services)):
            if (process := self.processes.get(name)) is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(seconds(self.services[name]["stop_grace_period"]))
        return {name: process.wait() for name, process in self.processes.items()}

    def kill(self) -> None:
        """Kill what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _run(self, name: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - as in ``check``
                self._command([*image_entry(), *self.services[name]["command"]]),
                env=self._environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _reach(self, name: str, condition: str) -> None:
        """Wait until a service is as another requires."""
        deadline = time.monotonic() + START_SECONDS
        while self.states.get(name) != condition:
            assert time.monotonic() < deadline, f"{name} is not {condition}: {self.log(name)}"
            self.states[name] = self._state(name)

    def _state(self, name: str) -> str:
        process = self.processes[name]
        if name == "migrate":
            assert process.wait(START_SECONDS) == 0, self.log(name)
            return "service_completed_successfully"
        assert process.poll() is None, f"{name} ended: {self.log(name)}"
        if self.check(name) != 0:
            with suppress(subprocess.TimeoutExpired):
                # As long as the next check is not due; one that ends is noticed at once.
                process.wait(0.5)
            return "starting"
        return "service_healthy"

    def _command(self, words: list[str]) -> list[str]:
        assert words[0] == "pims"
        return [sys.executable, "-c", _PIMS, *(self._replaced(word) for word in words[1:])]

    def _port_of(self, name: str) -> list[str]:
        """The option of the check: in its container, each part has the port of its own."""
        ports = [word for word in self.services[name]["command"] if word.startswith("--port=")]
        return [self._replaced(word) for word in ports]

    def _environment(self, name: str) -> dict[str, str]:
        service = self.services[name]
        mounted = {each if isinstance(each, str) else each["source"] for each in service["secrets"]}
        environment = {
            **image_variables(),
            **{key: self._replaced(str(value)) for key, value in service["environment"].items()},
            **self._more,
        }
        for variable, value in environment.items():
            if variable.endswith("_FILE"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in mounted, f"{name} has no secret {secret}"
                environment[variable] = str(self._secrets / secret)
        own = self._directory / ("api" if name == "api" else "home")
        temporary = self._directory / f"tmp-{name}"
        for directory in (own, temporary):
            directory.mkdir(mode=0o700, exist_ok=True)
        inside = image_variables()["PIMS_HOME"]
        moved = {key: value.replace(inside, str(own)) for key, value in environment.items()}
        return {**moved, "TMPDIR": str(temporary)}

    def _replaced(self, text: str) -> str:
        for address, ours in self._addresses.items():
            text = text.replace(address, ours)
        return text


def seconds(duration: str) -> float:
    """A duration of the file, such as ``30s`` or ``2m``."""
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()  # type: ignore[union-attr]  # it is ours
    return float(number) * {"s": 1, "m": 60}[unit]
