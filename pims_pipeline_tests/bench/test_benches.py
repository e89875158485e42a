"""The benchmarks' own parts, and what docs/performance.md shows of their figures.

No figure is judged here. Those of the tables are compared by ``test_docs.py``.
"""

import importlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from pims_pipeline_tests.test_repository import ROOT

PEERS = sorted((ROOT / "bench" / "peers").glob("*.in"))
STARTUP = b"\0\0\0\x0b\0\3\0\0ab\0"
ENCRYPTION = b"\0\0\0\x08\x04\xd2\x16\x2f"


@pytest.fixture
def plots(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("performance_plots")


@pytest.fixture(autouse=True)
def _bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")


def test_the_plots_are_those_of_the_recorded_figures(plots: ModuleType) -> None:
    old = [
        name
        for name in plots.PLOTS
        if plots.results(name)
        and plots.digest(name) not in plots.image(name).read_text(encoding="utf-8")
    ]

    assert old == [], "make docs"


@pytest.mark.parametrize("wanted", PEERS, ids=lambda path: path.stem)
def test_the_packages_of_a_peer_are_locked_with_hashes_and_no_address(wanted: Path) -> None:
    lock = wanted.with_suffix(".lock").read_text(encoding="utf-8")
    entries = [each for each in re.split(r"\n(?=[a-z0-9])", lock) if "==" in each.split()[0]]
    requirement = Requirement(wanted.read_text(encoding="utf-8").strip())

    assert [each.split()[0] for each in entries if "--hash=sha256:" not in each] == []
    assert any(each.split()[0] == f"{requirement.name}{requirement.specifier}" for each in entries)
    assert "://" not in lock


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + (4 + len(body)).to_bytes(4, "big") + body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_statements_are_counted_however_the_stream_is_cut(size: int) -> None:
    proxy = importlib.import_module("support.proxy")
    prepared = b"".join(message(kind, b"Q" * 9) for kind in (b"P", b"B", b"E"))
    stream = ENCRYPTION + STARTUP + message(b"Q", b"E" * 40) + prepared + message(b"S")
    counts = proxy.Counts()
    statements = proxy.Statements(counts)

    for start in range(0, len(stream), size):
        statements.feed(stream[start : start + size])

    assert counts.statements == 2


@contextmanager
def echo(path: Path) -> Iterator[None]:
    """A server on a socket that returns what one client sends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65_536):
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += connection.recv(65_536)
    return data


@pytest.mark.parametrize("round_trip", [0.0, 0.01])
def test_the_proxy_changes_nothing_and_counts_what_passes(
    tmp_path: Path, round_trip: float
) -> None:
    proxy = importlib.import_module("support.proxy")
    query = STARTUP + message(b"Q", bytes(range(256)) * 4000)
    again = message(b"Q", b"again")

    with (
        echo(tmp_path / "socket"),
        proxy.proxy(tmp_path / "socket", round_trip) as between,
    ):
        with socket.create_connection(("127.0.0.1", between.port), 30) as connection:
            threading.Thread(target=connection.sendall, args=(query,)).start()
            assert received(connection, len(query)) == query
            between.take_counts()
            connection.sendall(again)
            assert received(connection, len(again)) == again

        assert between.take_counts() == proxy.Counts(0, round_trips=1, statements=1)


def test_growth_is_the_power_that_the_cost_follows() -> None:
    growth = importlib.import_module("support.growth")

    assert growth.exponent([(n, 3 * n**1.2) for n in (50, 200, 1000)]) == pytest.approx(1.2)
