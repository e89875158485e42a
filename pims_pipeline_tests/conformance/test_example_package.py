"""A provider in a package of its own, built from docs/providers/writing-one.md and installed."""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from venv import EnvBuilder

import pytest

from pims_pipeline_tests.test_repository import FILES, ROOT

DOCUMENT = ROOT / "docs" / "providers" / "writing-one.md"
EXAMPLE = ROOT / "examples" / "provider-package"
_FILE = re.compile(r"^`([^`\n]+)`:\n\n```(?:toml|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def documented_files() -> dict[str, str]:
    """The files that the document shows, by name."""
    return dict(_FILE.findall(DOCUMENT.read_text(encoding="utf-8")))


def documented_commands() -> list[list[str]]:
    """The commands that the document ends with."""
    [commands] = _COMMANDS.findall(DOCUMENT.read_text(encoding="utf-8"))
    return [line.replace("'", "").split() for line in commands.splitlines()]


def test_the_document_shows_every_file_of_the_example() -> None:
    files = {
        each.relative_to(EXAMPLE).as_posix(): each.read_text(encoding="utf-8")
        for each in FILES
        if each.is_relative_to(EXAMPLE) and each.name != "README.md"
    }
    assert documented_files() == files


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has what ours has, and is not changed with it.

    Nothing is downloaded: ours is added to its path, and pip and the build backend are ours.
    """
    home = tmp_path_factory.mktemp("environment")
    EnvBuilder(with_pip=False, symlinks=True).create(home)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    lines = (
        f"import site; site.addsitedir({sysconfig.get_path(name)!r})"
        for name in ("purelib", "platlib")
    )
    Path(paths["purelib"], "ours.pth").write_text("\n".join([*dict.fromkeys(lines), ""]))
    return Path(paths["scripts"])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the document writes it."""
    folder = tmp_path_factory.mktemp("pims-provider-example")
    for name, text in documented_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def outcome(environment: Path, package: Path, command: Sequence[str]) -> tuple[int, str]:
    """The status and the output of one of the document's commands."""
    python = str(environment / "python")
    match command:
        case ["pip", "install", what]:
            offline = ["--no-index", "--no-deps", "--no-build-isolation"]
            quiet = ["--no-input", "--disable-pip-version-check", "--quiet"]
            command = [python, "-m", "pip", *quiet, "install", *offline, what.partition("[")[0]]
        case ["python", "-m", "pytest", *arguments]:
            command = [python, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        case ["pims", *arguments]:
            command = [python, "-c", "from pims_pipeline.cli.main import main; main()", *arguments]
        case _:
            raise AssertionError(f"the document has a command that no test knows: {command}")
    done = subprocess.run(  # noqa: S603 - the commands of our own document
        command,
        cwd=package,
        env={"PATH": str(environment), "PIMS_HOME": str(package / "home"), "HOME": str(package)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_package_of_the_document_installs_and_keeps_its_promises(
    environment: Path, package: Path
) -> None:
    install, *commands = documented_commands()
    assert outcome(environment, package, install) == (0, "")

    with ThreadPoolExecutor() as together:
        done = list(together.map(lambda each: outcome(environment, package, each), commands))

    assert [(status, output) for status, output in done if status != 0] == []
    tested, installed, checked = done
    assert re.search(r"[0-9]+ passed, [0-9]+ not applicable", tested[1])
    assert re.search(
        r"^paw_planner +Paw Planner +pims-provider-example ", installed[1], re.MULTILINE
    )
    assert re.search(r"^[0-9]+ passed, 0 failed, [0-9]+ not applicable$", checked[1], re.MULTILINE)
    assert "paw_planner" not in installed_here(), "the project's own environment is changed"


def installed_here() -> str:
    """The entry points of providers in the environment of these tests."""
    program = (
        "from importlib.metadata import *; print(entry_points(group='pims_pipeline.providers'))"
    )
    return subprocess.run(  # noqa: S603 - this interpreter, our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
