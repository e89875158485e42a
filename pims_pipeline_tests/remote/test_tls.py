"""Over TLS: certificates of one's own are checked as asked, and a failure is one clear line."""

import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine as plain_engine
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database.conditions import explain
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseRefused
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.remote.certificates import Authority

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """A directory with the files of the authority, the server, and another authority."""
    # Not under pytest's own directory, which the pooler's user may not read.
    with tempfile.TemporaryDirectory(prefix="pims-tls-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        ours = Authority.new("ours")
        ours.write_certificate(directory / "ca.pem")
        Authority.new("theirs").write_certificate(directory / "other.pem")
        Authority.new("ours").write_certificate(directory / "renewed.pem")
        for file in ours.write_server(directory, ["localhost"]):
            file.chmod(0o644)
        (directory / "empty.pem").touch()
        yield directory


@pytest.fixture(scope="module")
def tls_url(files: Path, server_url: str) -> Iterator[str]:
    """The address of a server that speaks TLS alone, with a certificate for ``localhost``."""
    more = (
        "client_tls_sslmode = require\n"
        f"client_tls_cert_file = {files / 'server.crt'}\n"
        f"client_tls_key_file = {files / 'server.key'}\n"
    )
    with pgbouncer(server_url, size=2, ignored="extra_float_digits,options", more=more) as url:
        yield url


def _address(url: str, host: str, files: Path, **parameters: str) -> str:
    given = {name: value.replace("FILES", str(files)) for name, value in parameters.items()}
    address = make_url(url).set(host=host, password=PASSWORD, query=given)
    return address.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("host", "parameters"),
    [
        ("127.0.0.1", {"sslmode": "require"}),
        ("127.0.0.1", {"sslmode": "verify-ca", "sslrootcert": "FILES/ca.pem"}),
        ("localhost", {"sslmode": "verify-full", "sslrootcert": "FILES/ca.pem"}),
    ],
)
def test_a_certificate_of_ones_own_is_accepted_by(
    tls_url: str, files: Path, host: str, parameters: dict[str, str]
) -> None:
    address = _address(tls_url, host, files, **parameters)
    for engine in (create_engine(address), plain_engine(dagster_storage_url(address))):
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        engine.dispose()


REFUSALS = [
    (
        "localhost",
        {"sslmode": "verify-full", "sslrootcert": "FILES/other.pem"},
        "certificate is signed by no authority that sslrootcert names; write sslrootcert=FILE",
    ),
    (
        "127.0.0.1",
        {"sslmode": "require", "sslrootcert": "FILES/other.pem"},
        "certificate is signed by no authority that sslrootcert names; write sslrootcert=FILE",
    ),
    (
        "localhost",
        {"sslmode": "verify-ca", "sslrootcert": "FILES/renewed.pem"},
        "certificate is signed by no authority that sslrootcert names; write sslrootcert=FILE",
    ),
    (
        "127.0.0.1",
        {"sslmode": "verify-full", "sslrootcert": "FILES/ca.pem"},
        "certificate is for another host; write the host that it is for, or sslmode=verify-ca",
    ),
    (
        "localhost",
        {"sslmode": "verify-ca", "sslrootcert": "FILES/none.pem"},
        "the file of TLS root certificates cannot be read; write sslrootcert=FILE with its whole",
    ),
    (
        "localhost",
        {"sslmode": "verify-ca", "sslrootcert": "FILES/empty.pem"},
        "the file of TLS root certificates cannot be read; write sslrootcert=FILE with its whole",
    ),
    ("localhost", {"sslmode": "disable"}, "the database requires TLS; write sslmode=require"),
]


@pytest.mark.parametrize(("host", "parameters", "words"), REFUSALS)
def test_what_is_wrong_with_tls_is_one_line_with_what_to_write(
    tls_url: str, files: Path, host: str, parameters: dict[str, str], words: str
) -> None:
    address = _address(tls_url, host, files, **parameters)
    ours = create_engine(address)
    with pytest.raises(DatabaseRefused) as caught, transaction(ours):
        pass
    theirs = plain_engine(dagster_storage_url(address))
    with pytest.raises(DBAPIError) as raised:
        theirs.connect()
    lines = [str(caught.value), explain(raised.value) or ""]
    assert [words in line for line in lines] == [True, True], lines
    assert "\n" not in lines[0] + lines[1]
    assert PASSWORD not in "".join([*traceback.format_exception(caught.value), *lines])


def test_a_server_without_tls_is_named(server_url: str, files: Path) -> None:
    with pgbouncer(server_url, size=1) as url:
        engine = create_engine(_address(url, "127.0.0.1", files, sslmode="require"))
        with (
            pytest.raises(DatabaseRefused, match="offers no TLS; turn it on there, or write"),
            transaction(engine),
        ):
            pass
