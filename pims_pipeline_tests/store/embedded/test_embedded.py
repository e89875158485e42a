"""The embedded PostgreSQL starts, is shared, survives deaths, and keeps to its directory."""

import base64
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pims_pipeline.store.embedded import start_lock
from pims_pipeline.store.embedded.encryption_key import encryption_key
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.embedded.start_lock import EmbeddedDatabaseFailed

_USER = """
import sys
from pathlib import Path
from pims_pipeline.store.embedded.server import start_embedded
print(start_embedded(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@contextmanager
def _user(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that starts the server, prints its URL, and waits for its input to end."""
    with subprocess.Popen(  # noqa: S603 - this very interpreter, with a text of ours
        [sys.executable, "-c", _USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _ends(process: subprocess.Popen[str]) -> str:
    """Let the process end by itself; gives what it wrote to stderr."""
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return errors


def _runs(home: Path) -> bool:
    return (home / "postgres" / "postmaster.pid").exists()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    stop_embedded(home)


def _remember(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'yes' AS word")


def _remembered(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT word FROM kept").fetchone()
    assert row is not None
    return str(row[0])


def test_data_outlives_the_server(home: Path) -> None:
    _remember(start_embedded(home))
    assert _runs(home)
    stop_embedded(home)
    assert not _runs(home)
    assert _remembered(start_embedded(home)) == "yes"


def test_starting_again_joins_the_running_server(home: Path) -> None:
    assert start_embedded(home) == start_embedded(home)


def test_only_its_user_may_connect_and_commits_are_durable(home: Path) -> None:
    with psycopg.connect(start_embedded(home)) as connection:
        names = (
            "listen_addresses",
            "unix_socket_permissions",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
        )
        rows = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    assert rows == [("",), ("0700",), ("on",), ("on",), ("on",)]


def test_processes_that_start_it_at_once_share_one_server_and_the_last_stops_it(
    home: Path,
) -> None:
    with _user(home) as first, _user(home) as second, _user(home) as third:
        urls = {_url_of(each) for each in (first, second, third)}
        assert len(urls) == 1
        assert urls.pop().startswith("postgresql://postgres@/pims?host=")
        assert [_ends(first), _ends(second)] == ["", ""]
        assert _runs(home)
        assert _ends(third) == ""
    assert not _runs(home)


def test_a_user_that_was_killed_does_not_keep_the_server_running(home: Path) -> None:
    with _user(home) as killed:
        _remember(_url_of(killed))
        killed.kill()
        killed.wait(timeout=60)
    assert _runs(home)
    assert _remembered(start_embedded(home)) == "yes"
    stop_embedded(home)
    assert not _runs(home)


def test_a_server_that_was_killed_is_started_again_with_its_data(home: Path) -> None:
    with _user(home) as user:
        url = _url_of(user)
        _remember(url)
        pid = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        user.kill()
        user.wait(timeout=60)
    assert _remembered(start_embedded(home)) == "yes"


def test_a_pid_file_whose_number_is_another_programs_does_not_count(home: Path) -> None:
    _remember(start_embedded(home))
    pid_file = home / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    stop_embedded(home)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    assert _remembered(start_embedded(home)) == "yes"


def test_an_initialization_that_was_killed_is_repeated(home: Path) -> None:
    data = home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    (home / "postgres.initializing").touch()
    _remember(start_embedded(home))


def test_a_damaged_data_directory_is_reported_and_left_alone(home: Path) -> None:
    data = home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    (data / "postgresql.conf").write_text("")
    with pytest.raises(EmbeddedDatabaseFailed) as caught:
        start_embedded(home)
    assert str(data) in str(caught.value)
    assert "PIMS_DATABASE_URL" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (data / "PG_VERSION").read_text() == "18\n"


@pytest.mark.parametrize(
    "name",
    ["deep/" * 30 + "home", "a home", "clinic's, own%20 +home"],
    ids=["long", "space", "odd"],
)
def test_any_home_path_will_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    try:
        _remember(start_embedded(home))
    finally:
        stop_embedded(home)


def test_joining_a_home_through_a_link_is_joining_the_same_server(
    home: Path, tmp_path: Path
) -> None:
    url = start_embedded(home)
    (tmp_path / "link").symlink_to(home)
    assert start_embedded(tmp_path / "link") == url


def test_the_key_is_made_once_for_its_owner_alone(home: Path) -> None:
    key = encryption_key(home)
    file = home / "encryption.key"
    assert len(base64.b64decode(key, validate=True)) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().strip() == key
    assert encryption_key(home) == key
    assert [each.name for each in home.glob("encryption*")] == ["encryption.key"]


def test_all_who_ask_for_the_key_at_once_get_the_same(home: Path) -> None:
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(encryption_key(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys == [encryption_key(home)] * 8


HOLDING = """
import sys
from fasteners import InterProcessLock
with InterProcessLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_that_a_stuck_process_holds_is_not_waited_for_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_lock, "LOCK_SECONDS", 0.2)
    with subprocess.Popen(  # noqa: S603 - this interpreter, the test's own arguments
        [sys.executable, "-c", HOLDING, str(tmp_path / "start.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(EmbeddedDatabaseFailed, match=r"for 0\.2 s"):
            encryption_key(tmp_path)
        holder.communicate(timeout=60)
