"""Files and directories are their owner's alone, whatever the shell's umask says."""

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pims_pipeline.local_trust.private_files import (
    HomeInUse,
    HomeNotADirectory,
    HomeNotPrivate,
    close_to_others,
    keep_files_private,
    make_private,
)
from pims_pipeline.store.embedded.access import open_way

OWNER_AND_ROOT_S_SERVER = 0o710 if os.geteuid() == 0 else 0o700


@pytest.fixture(params=[0o000, 0o022], ids=["umask-000", "umask-022"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A shell's umask; the process's own afterwards."""
    chosen: int = request.param
    before = os.umask(chosen)
    yield chosen
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_new_directory_is_its_owner_s_alone(tmp_path: Path) -> None:
    make_private(tmp_path / "home")

    assert mode(tmp_path / "home") == 0o700


@pytest.mark.parametrize("place", [".", "dagster"], ids=["itself", "its parent"])
def test_a_file_in_the_place_of_the_home_directory_is_reported(tmp_path: Path, place: str) -> None:
    file = tmp_path / "home"
    file.write_text("kept")

    with pytest.raises(HomeNotADirectory, match="is not a directory: set PIMS_HOME"):
        make_private(file / place)

    assert file.read_text() == "kept"


@pytest.mark.usefixtures("umask")
def test_what_a_process_makes_from_then_on_is_its_owner_s_alone(tmp_path: Path) -> None:
    keep_files_private()
    (tmp_path / "log").touch()
    (tmp_path / "logs").mkdir()

    assert (mode(tmp_path / "log"), mode(tmp_path / "logs")) == (0o600, 0o700)


@pytest.mark.parametrize("wide", [0o777, 0o755, 0o750, 0o2770, 0o1777])
def test_a_directory_that_was_open_to_others_is_closed(tmp_path: Path, wide: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(wide)
    close_to_others(home)

    assert mode(home) & ~OWNER_AND_ROOT_S_SERVER == 0
    assert mode(home) & 0o700 == 0o700


@pytest.mark.parametrize(
    "held", ["dagster", "encryption.key", "start.lock", "lost+found", "postgres"]
)
def test_an_open_home_of_ours_or_a_new_volume_is_closed(tmp_path: Path, held: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    (home / held).touch()

    close_to_others(home)

    assert mode(home) & ~OWNER_AND_ROOT_S_SERVER == 0


@pytest.mark.parametrize("used", [close_to_others, make_private])
def test_an_open_directory_with_files_of_others_keeps_its_mode(
    tmp_path: Path, used: Callable[[Path], None]
) -> None:
    system = tmp_path / "etc"
    system.mkdir()
    system.chmod(0o755)
    (system / "passwd").touch()

    with pytest.raises(HomeInUse, match="set PIMS_HOME to a directory of its own"):
        used(system)

    assert mode(system) == 0o755


def test_a_directory_that_is_not_there_stays_so(tmp_path: Path) -> None:
    close_to_others(tmp_path / "home")

    assert not (tmp_path / "home").exists()


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(HomeNotPrivate, match=r"belongs to another user .* set PIMS_HOME"):
        make_private(tmp_path)


def test_the_server_s_user_passes_through_and_can_list_nothing(tmp_path: Path) -> None:
    other = pwd.struct_passwd(("other", "x", 65534, os.getegid(), "", "/", "/bin/false"))
    home = tmp_path / "above" / "home"
    (home / "postgres").mkdir(parents=True)
    for each in (home, home.parent):
        each.chmod(0o700)
    os.chown(home.parent, -1, os.getegid())
    open_way(home / "postgres", other, home=home, top=tmp_path)

    assert mode(home) == 0o710
    assert mode(home.parent) == 0o701


def test_a_file_in_place_of_the_home_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()
    file.chmod(0o666)

    close_to_others(file)

    assert file.stat().st_mode & 0o7777 == 0o666
