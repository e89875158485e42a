"""``deploy/compose.yaml``: what it publishes and mounts, and its graph played as processes."""

import base64
import os
import re
import secrets
import shlex
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import psycopg
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from psycopg import sql

from pims_pipeline.cli.part.starting import checks_before
from pims_pipeline.cli.up.environment import ALLOWED_SECRETS
from pims_pipeline.orchestration.code_server.main import END_SECONDS
from pims_pipeline.settings import variable_names
from pims_pipeline_tests.cli.up.test_up import LOCATIONS, free_port
from pims_pipeline_tests.databases import address_of, administer
from pims_pipeline_tests.deploy.composition import (
    DEPLOY,
    Composition,
    compose_file,
    image_entry,
    image_variables,
    in_order,
    seconds,
)
from pims_pipeline_tests.providers.stopping import eventually

SERVICES = compose_file()["services"]
PARTS = [name for name in SERVICES if name != "postgres"]
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
ROLES = ("pims_owner", "pims_dagster", "pims_api_login")
DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }
"""


def test_only_the_dagster_ui_and_the_api_are_published_and_those_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"webserver": ["127.0.0.1:3000:3000"], "api": ["127.0.0.1:8000:8000"]}


def test_the_database_and_the_code_server_are_on_networks_without_a_way_out() -> None:
    networks = compose_file()["networks"]
    inner = {name for name, network in networks.items() if network.get("internal")}

    assert set(SERVICES["postgres"]["networks"]) <= inner
    assert set(SERVICES["daemon"]["networks"]) <= inner
    assert set(SERVICES["code-server"]["networks"]) - inner == {"vendors"}
    assert [name for name, each in SERVICES.items() if "vendors" in each["networks"]] == [
        "code-server"
    ]


@pytest.mark.parametrize("name", PARTS)
def test_each_part_may_change_nothing_of_its_system(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert service["image"] == SERVICES["api"]["image"]


def test_each_part_gets_the_secrets_of_its_process_under_pims_up_and_no_others() -> None:
    held = {
        name: {
            variable.removesuffix("_FILE")
            for variable in SERVICES[name]["environment"]
            if variable.endswith("_FILE")
        }
        for name in PARTS
    }

    assert held["webserver"] == held["daemon"] == ALLOWED_SECRETS["dagster"]
    assert held["api"] <= ALLOWED_SECRETS["pims-serve"]
    assert held["code-server"] <= ALLOWED_SECRETS["dagster-code-server"]
    assert held["migrate"] == held["code-server"]


def test_the_doctor_checks_each_part_before_it_starts() -> None:
    checked = {name for name in PARTS if checks_before(SERVICES[name]["command"]) is not None}

    assert checked == set(PARTS) - {"migrate"}


@pytest.mark.parametrize("name", list(SERVICES))
def test_secrets_are_files_and_each_is_declared(name: str) -> None:
    service = SERVICES[name]
    mounted = {each if isinstance(each, str) else each["source"] for each in service["secrets"]}

    assert mounted <= compose_file()["secrets"].keys()
    assert not [value for value in service["environment"].values() if "@" in str(value)]


@pytest.mark.parametrize("name", PARTS)
def test_every_variable_of_a_part_is_a_setting(name: str) -> None:
    known = set(variable_names().values())

    assert {each.removesuffix("_FILE") for each in SERVICES[name]["environment"]} <= known


def test_the_tables_come_first_and_each_waits_for_what_it_uses() -> None:
    order = in_order(SERVICES)

    assert order[:3] == ["postgres", "migrate", "code-server"]
    assert order.index("api") > order.index("webserver")
    assert SERVICES["migrate"]["restart"] == "no"


def test_runs_have_the_time_to_end_with_the_code_server() -> None:
    assert seconds(SERVICES["code-server"]["stop_grace_period"]) > END_SECONDS


def test_the_image_runs_without_root_and_names_no_secret() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    last = text[text.rindex("\nFROM ") :]

    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert not re.search(r"build-essential|gcc|python3-dev|pip ", last)
    assert image_entry() == ["pims", "part", "start"]
    assert text.count("--require-hashes") == 2
    assert image_variables()["PIMS_HOME"] == "/var/lib/pims"


def test_the_image_s_locks_hold_the_versions_that_are_tested() -> None:
    pinned = re.compile(r"^([a-z0-9.-]+==\S+)", re.MULTILINE)
    tested = set(pinned.findall((DEPLOY.parent / "requirements.lock").read_text("utf-8")))

    for lock in ("requirements.lock", "build.lock"):
        assert set(pinned.findall((DEPLOY / lock).read_text("utf-8"))) <= tested


def test_the_image_has_what_the_project_and_its_heavy_extras_need() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["browser"], *extras["reports"]]
    lock = (DEPLOY / "requirements.lock").read_text("utf-8")
    pinned = re.findall(r"^([\w.-]+)(?:\[.*\])?==", lock, re.MULTILINE)
    locked = {canonicalize_name(name) for name in pinned}

    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= locked


def made_secrets(directory: Path) -> dict[str, str]:
    """What ``make-secrets`` writes into a directory; a second call changes nothing."""
    for _ in range(2):
        subprocess.run(  # noqa: S603 - a program of ours
            [DEPLOY / "make-secrets"],
            env={"PATH": os.environ["PATH"], "PIMS_SECRETS": str(directory)},
            check=True,
            capture_output=True,
        )
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}


def test_make_secrets_writes_each_secret_once_for_its_container_alone(tmp_path: Path) -> None:
    made = made_secrets(tmp_path / "secrets")
    declared = {Path(each["file"]).name for each in compose_file()["secrets"].values()}

    assert made.keys() == declared
    assert len(base64.b64decode(made["encryption_key"].strip(), validate=True)) == 32
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for name in declared:
        path = tmp_path / "secrets" / name
        wanted = 0o400 if os.geteuid() == 0 else 0o444
        assert stat.S_IMODE(path.stat().st_mode) == wanted
    for name in (each for each in made if each.endswith("_url")):
        [(role, password)] = re.findall(r"//(\w+):([0-9a-f]{48})@", made[name])
        assert f"CREATE ROLE {role} LOGIN PASSWORD '{password}'" in made["postgres_roles.sql"]


@pytest.fixture
def database(server_url: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A database with the roles of ``make-secrets``, and the secrets with its address."""
    made = made_secrets(tmp_path / "made")
    name = f"composed_{secrets.token_hex(6)}"
    administer(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = address_of(name, server_url)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in made["postgres_roles.sql"].split(";"):
            # The roles belong to the server, which other tests use too.
            with suppress(psycopg.errors.DuplicateObject):
                connection.execute(statement.replace("DATABASE pims", f"DATABASE {name}"))
    yield url, made
    administer(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    for role in ROLES:
        administer(server_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def as_role(secret: str, url: str) -> str:
    """A secret with the address of a container, as an address of the tests' server."""
    found = re.fullmatch(r"postgresql://(\w+):\w+@postgres:5432/pims(\?schema=\w+)?\n", secret)
    assert found is not None
    server, _, options = url.partition("?")
    ours = re.sub(r"//[^@/]*@", f"//{found[1]}@", server)
    assert found[1] in ours
    return f"{ours}?{'&'.join(each for each in (options, (found[2] or '')[1:]) if each)}\n"


@pytest.fixture
def composition(database: tuple[str, dict[str, str]]) -> Iterator[Composition]:
    """The services, not started."""
    url, made = database
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("code", "ui", "api")}
    addresses = {
        "--host=0.0.0.0": "--host=127.0.0.1",
        "code-server:4000": ports["code"],
        "webserver:3000": ports["ui"],
        **{
            f"--port={port}": f"--port={ports[name].rpartition(':')[2]}"
            for name, port in (("code", 4000), ("ui", 3000), ("api", 8000))
        },
    }
    given = {
        name: as_role(content, url) if name.endswith("_url") else content
        for name, content in made.items()
    }
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": programs, "PIMS_CHROMIUM_PATH": ""}
    # Not pytest's own directory: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="pims-") as directory:
        composed = Composition(Path(directory), addresses, given, more)
        yield composed
        composed.kill()


def daemons_are_healthy(client: httpx2.Client, graphql: str) -> bool:
    """Whether Dagster sees the heartbeat of each of its daemons."""
    data = client.post(graphql, json={"query": DAEMONS}).json()["data"]
    found = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(each["healthy"] for each in found if each["required"])


def test_the_graph_starts_in_order_answers_and_stops_in_time(composition: Composition) -> None:
    composition.start()
    with httpx2.Client(trust_env=False, timeout=60) as client:
        ready = client.get(f"http://{composition.address_of('api')}/ready").json()
        graphql = f"http://{composition.address_of('webserver')}/graphql"
        locations = client.post(graphql, json={"query": LOCATIONS}).json()["data"]
        eventually(lambda: daemons_are_healthy(client, graphql))
        foreign = client.get(graphql, headers={"Host": "rebound.example"})
    doctors = [
        composition.execute(name, *shlex.split(command))
        for name, command in re.findall(r"compose exec ([\w-]+) (pims doctor.*)", README)
    ]
    statuses = composition.stop()

    assert {name: each["status"] for name, each in ready["checks"].items()} == dict.fromkeys(
        ("database", "migrations", "dagster"), "ok"
    )
    assert [each.returncode for each in doctors] == [0, 0], [each.stdout for each in doctors]
    [entry] = locations["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    assert foreign.status_code == 421
    assert {name: status for name, status in statuses.items() if status} == {}
    for name in statuses:
        log = composition.log(name)
        assert "postgresql://" not in log
        assert "Traceback" not in log
