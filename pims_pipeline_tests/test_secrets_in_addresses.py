"""No piece of a password is repeated, however wrongly it was written into an address."""

import logging
import socket
import string
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from pims_pipeline.cli.main import main
from pims_pipeline.settings import load_settings, variable_names
from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database.engine import create_engine, transaction

PIECE = 4
PASSWORDS = st.text(
    st.one_of(
        st.sampled_from("@/?#:%[]&=,+\\'\" "),
        st.sampled_from(string.ascii_letters + string.digits),
        st.characters(exclude_categories=["C", "Z"], codec="utf-8"),
    ),
    min_size=PIECE,
    max_size=24,
)
ADDRESSES = ("PIMS_DATABASE_URL", "DAGSTER_POSTGRES_URL", "PIMS_API_DATABASE_URL")
WEB = ("DAGSTER_GRAPHQL_URL", "AXIOM_URL", "PIMS_CORS_ORIGINS")
OTHERS = (
    "ENCRYPTION_KEY",
    "ENCRYPTION_KEYS_RETIRED",
    "PIMS_METRICS_TOKEN",
    "SLACK_BOT_TOKEN",
    "AXIOM_TOKEN",
    "PIMS_TRUSTED_PROXIES",
    "PIMS_PARTITION_START",
    "PIMS_CLINICS_AT_ONCE",
    "LOG_LEVEL",
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port on which no server listens during the tests."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
        yield number


def everything_of(error: BaseException) -> str:
    """All that a program could print of an error."""
    printed = ["".join(traceback.format_exception(error))]
    each: BaseException | None = error
    while each is not None:
        printed += [repr(each), str(each), repr(each.args)]
        each = each.__cause__ or each.__context__
    return "\n".join(printed)


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    handler = _Kept(lines)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def output_of(work: Callable[[], object]) -> str:
    lines: list[str] = []
    with _logged(lines):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - no error may show the password
            lines.append(everything_of(error))
    return "\n".join(lines)


def _in_environment(variables: dict[str, str]) -> object:
    with pytest.MonkeyPatch.context() as patch:
        for name in variable_names().values():
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        accepted = load_settings()
        # Accepted settings may be printed too.
        raise AssertionError(f"{accepted!r} {accepted}")


def _connect(url: str) -> None:
    engine = create_engine(url)
    logging.getLogger().info("%r", engine)
    with transaction(engine) as connection:
        connection.execute(text("SELECT 1"))


def _output_with(password: str, port: int) -> str:
    address = f"postgresql://vet:{password}@127.0.0.1:{port}/pims"
    web = f"https://vet:{password}@127.0.0.1:{port}"
    values = {
        **dict.fromkeys(ADDRESSES, address),
        **dict.fromkeys(WEB, web),
        **dict.fromkeys(OTHERS, password),
    }
    # No environment variable holds a NUL.
    usable = {name: value for name, value in values.items() if "\0" not in value}
    key = {"ENCRYPTION_KEY": "A" * 43 + "="}
    outputs = [
        output_of(lambda name=name: _in_environment({**key, name: usable[name]}))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        for name in usable
    ]
    outputs.append(output_of(lambda: _connect(address)))
    outputs.append(output_of(lambda: dagster_storage_url(address) and None))
    return "\n".join(outputs)


class _Words:
    """A long text that pytest does not repeat when an assertion fails."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __contains__(self, piece: object) -> bool:
        return isinstance(piece, str) and piece in self._text


@pytest.fixture(scope="module")
def harmless(port: int) -> _Words:
    """The output for harmless passwords: the messages of the program and of Python."""
    return _Words("\n".join(_output_with(each, port) for each in ("zzzzzzzz", "z@z/z#z", "z%z z")))


@settings(max_examples=40, deadline=None)
@given(password=PASSWORDS)
def test_no_piece_of_a_password_is_repeated_however_it_was_written(
    port: int, harmless: _Words, password: str
) -> None:
    output = _output_with(password, port)
    pieces = {password[at : at + PIECE] for at in range(len(password) - PIECE + 1)}
    assert {piece for piece in pieces if piece in output and piece not in harmless} == set()


@pytest.mark.parametrize("password", ["S3cr3t@h0rse", "p@ss/w0rd#1", "pa?ss=w0rd&x", "w0rd%of"])
def test_the_terminal_says_what_to_encode_and_shows_no_piece(password: str) -> None:
    unset = dict.fromkeys(variable_names().values())
    address = f"postgresql://vet:{password}@127.0.0.1/pims"
    for variable in ADDRESSES:
        env = {**unset, "ENCRYPTION_KEY": "A" * 43 + "=", variable: address}
        done = CliRunner().invoke(main, ["status"], env=env)
        assert done.exit_code == 1
        assert done.output.startswith(f"Error: {variable} must be a PostgreSQL address")
        assert "percent-encode" in done.output
        assert not any(password[at : at + PIECE] in done.output for at in range(len(password) - 3))
