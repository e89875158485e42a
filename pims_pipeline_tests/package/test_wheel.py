"""The wheel in an environment outside the repository, with the packages of ours beside it.

`pims demo` from there is a step of docs/releasing.md: it takes a minute.
"""

import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path
from venv import EnvBuilder

import pytest

from pims_pipeline_tests.cli.processes import environment
from pims_pipeline_tests.test_repository import ROOT


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = subprocess.run(  # noqa: S603 - programs of the environments
        command,
        cwd=cwd,
        env={**environment(cwd / "pims"), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the locked build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel. Nothing is downloaded."""
    home = tmp_path_factory.mktemp("installed")
    EnvBuilder(with_pip=False, symlinks=True).create(home)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    # Plain directories: their own .pth files, one of which names this repository, are not read.
    ours = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(paths["purelib"], "locked.pth").write_text("\n".join([*ours, ""]))
    scripts = Path(paths["scripts"])
    offline = ("--no-index", "--no-deps", "--no-input", "--disable-pip-version-check", "--quiet")
    # Ours is on the path of the new environment, but must not count as installed there.
    options = (*offline, "--ignore-installed")
    run(scripts / "python", "-m", "pip", "install", *options, wheel, cwd=home)
    return scripts


def test_the_installed_wheel_runs_outside_the_repository(programs: Path, tmp_path: Path) -> None:
    module = "import pims_pipeline; print(pims_pipeline.__file__)"
    assert Path(run(programs / "python", "-c", module, cwd=tmp_path)).is_relative_to(
        programs.parent
    )

    assert run(programs / "pims", "--version", cwd=tmp_path).startswith("pims, version ")
    listed = run(programs / "pims", "providers", "list", cwd=tmp_path)

    assert "idexx_neo" in listed
    assert "vetspire" in listed
    assert list(tmp_path.iterdir()) == []


def test_the_heavy_packages_are_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = message_from_string(archive.read(name).decode())
    extras: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist") or []:
        requirement, _, marker = line.partition(";")
        package = requirement.split(">")[0].split("=")[0].split("[")[0].strip()
        extra = marker.partition("extra ==")[2].strip(" '\"")
        extras.setdefault(extra, set()).add(package)

    assert extras["browser"] == {"playwright"}
    assert extras["reports"] == {"matplotlib", "pandas", "tabulate"}
    assert extras[""].isdisjoint(extras["browser"] | extras["reports"])
