"""The output to a terminal or a pipe, and the input from either."""

import ast
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.streams import prepare_streams, print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.observability.printable import is_control, printable
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import read_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.cases import cases
from pims_pipeline_tests.cli.invocation import KEY, PASSWORD, Pims, document, error_line
from pims_pipeline_tests.test_repository import modules

CLI = Path(__file__).parents[3] / "pims_pipeline" / "cli"
STEERING = "\x1b[2J\x1b]0;x\x07\x9b31m\b\r\n\x00\x7f\u202e\u2066\u200e\ufeff\u2028\ud800\U000e0041"
NAME = f"Rex{STEERING}Zoë 🐕‍🦺 李"


class Pipe:
    """Standard output with another encoding."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    def bytes_of(self, write: Callable[[], None]) -> bytes:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=self.encoding)
        with redirect_stdout(stream):
            prepare_streams()
            write()
        stream.flush()
        return raw.getvalue()

    def text_of(self, write: Callable[[], None]) -> str:
        return self.bytes_of(write).decode(self.encoding)


@pytest.fixture(params=["ascii", "latin-1", "utf-8", "cp1252", "utf-16"])
def pipe(request: pytest.FixtureRequest) -> Pipe:
    return Pipe(request.param)


def test_a_pipe_of_any_encoding_takes_a_table_with_any_name(pipe: Pipe) -> None:
    shown = pipe.text_of(lambda: print_table(["Patient", "→"], [[NAME, "…"]], empty="nothing"))
    assert "Rex\\x1b[2J\\x1b]0;x\\x07\\x9b31m\\x08\\r\\n\\x00\\x7f\\u202e" in shown
    assert not any(is_control(each) for each in shown if each != "\n")
    if pipe.encoding == "ascii":
        assert "->" in shown
        assert "..." in shown


def test_a_pipe_of_any_encoding_takes_any_line(pipe: Pipe) -> None:
    name = NAME.replace("\n", "")
    first, second, end = pipe.text_of(lambda: say(f"one\n{name}")).split("\n")
    assert (first, end) == ("one", "")
    assert second.startswith("Rex\\x1b")


def test_json_is_the_same_document_in_any_pipe(pipe: Pipe) -> None:
    written = pipe.bytes_of(lambda: print_json({"name": NAME}))
    assert json.loads(written) == {"name": NAME}
    assert not any(is_control(each) for each in written.decode() if each != "\n")


class FullDisk(io.RawIOBase):
    """Refuses every write."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "write",
    [
        lambda: say("text"),
        lambda: print_json({"a": 1}),
        lambda: print_table(["Patient"], [["Rex"]], empty="nothing"),
    ],
    ids=["a line", "a document", "a table"],
)
def test_output_that_cannot_be_written_is_reported(write: Callable[[], None]) -> None:
    full = FullDisk()
    stream = io.TextIOWrapper(io.BufferedWriter(full), encoding="utf-8")
    try:
        with redirect_stdout(stream), pytest.raises(Refused, match=r"output .*\(no space left"):
            write()
    finally:
        # close() writes the buffer again.
        with suppress(OSError):
            stream.close()


WITHOUT_STREAMS = """
import os, sys
from pims_pipeline.cli.terminal.streams import prepare_streams, say
for number in (0, 1, 2):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
prepare_streams()
with open(sys.argv[1], "w") as kept:
    say("lost")
    say("lost too", err=True)
    print(sys.stdin.read(), file=sys.stdout)
    kept.write(f"number {kept.fileno()}")
"""


def test_closed_streams_lead_to_the_null_device_and_keep_their_numbers(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    words = [sys.executable, "-c", WITHOUT_STREAMS, str(kept)]
    done = subprocess.run(words, check=False, timeout=60)  # noqa: S603 - our own script
    assert done.returncode == 0
    assert kept.read_text() == "number 3"


@given(st.text(st.characters()))
def test_control_characters_are_escaped_and_plain_text_is_unchanged(text: str) -> None:
    shown = printable(text)
    assert not any(is_control(each) for each in shown)
    if not any(is_control(each) for each in text):
        assert shown == text


@pytest.mark.parametrize(
    "text", ["Zoë", "李小龍", "🐕‍🦺", "नमस्ते", "مي\u200cخواهم", "a\u00a0b", "é́̂"]
)
def test_names_of_all_scripts_are_shown_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_names_in_the_store_are_shown_as_escapes(
    pims: Pims, engine: Engine, registered: str
) -> None:
    name = NAME.replace("\x00", "").replace("\ud800", "")
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, registered)
        connection.execute(
            insert(cases).values(
                clinic_id=clinic.id,
                provider_type="idexx_neo",
                patient_name=name,
                patient_species=name,
                client_name=name,
                scheduled_date=date(2026, 3, 9),
            )
        )
    listed = document(pims("cases", "list", "--clinic", registered, "--json"))["cases"]
    assert [each["patientName"] for each in listed] == [name]
    for shown in (
        pims("cases", "list", "--clinic", registered).stdout,
        pims("cases", "show", listed[0]["id"]).stdout,
        pims("cases", "show", listed[0]["id"], "--json").stdout,
    ):
        assert "Rex\\" in shown
        assert not any(is_control(each) for each in shown if each != "\n")


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\u202eb", "a\x9bb", "a\x00b"])
def test_a_control_character_in_a_name_is_refused(pims: Pims, registered: str, name: str) -> None:
    address = ("--timezone=Europe/Berlin", "--provider=idexx_neo", "--base-url=https://a.example")
    for command in (
        ("clinics", "add", "elm", f"--name={name}", *address),
        ("keys", "create", registered, f"--name={name}"),
        ("holds", "reject", "0b6f4bd2-3f5c-5c27-9d6e-6f0f6f1f2a10", f"--by={name}"),
        ("credentials", "set", registered, "--company-id=1", f"--username={name}"),
        ("credentials", "set", registered, "--username=u", f"--company-id={name}"),
    ):
        error = error_line(pims(*command, typed="x"))
        assert "control character" in error, command
    assert [each["slug"] for each in document(pims("clinics", "list", "--json"))["clinics"]] == [
        registered
    ]


@pytest.mark.parametrize(
    "piped",
    [
        PASSWORD.encode(),
        f"{PASSWORD}\n".encode(),
        f"{PASSWORD}\r\n".encode(),
        f"\ufeff{PASSWORD}\r\n".encode(),
        f"\ufeff{PASSWORD}\r\n".encode("utf-16-le"),
        f"\ufeff{PASSWORD}\n".encode("utf-16-be"),
    ],
)
def test_a_piped_password_is_stored_without_byte_order_mark_and_line_end(
    pims: Pims, engine: Engine, registered: str, piped: bytes
) -> None:
    done = pims(
        "credentials",
        "set",
        registered,
        "--company-id=1001",
        "--username=demo",
        "--password-stdin",
        typed=piped,
    )
    assert done.exit_code == 0, done.output
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, registered)
        stored = read_credentials(
            connection, Vault.from_base64(KEY), clinic, purpose="test", run_id="test"
        )
    assert stored.fields["password"] == PASSWORD


@pytest.mark.parametrize(
    "piped",
    [
        b"pass\x1bword",
        b"two\nlines\n",
        b"nul\x00",
        b"p\x00a\x00s\x00s\x00",
        b"tab\t",
        b"\xff\xfe\x00",
        b"caf\xe9",
        "p\u202ess".encode(),
        b"",
        b"\n",
        b"\xef\xbb\xbf\n",
    ],
)
def test_a_piped_password_that_no_form_takes_is_refused(
    pims: Pims, registered: str, piped: bytes
) -> None:
    refused = pims(
        "credentials",
        "set",
        registered,
        "--company-id=1001",
        "--username=demo",
        "--password-stdin",
        typed=piped,
    )
    error = error_line(refused)
    assert "password" in error
    for secret in ("word", "lines", "nul", "pass", "tab\\", "caf"):
        assert secret not in error.replace("password", "")
    assert document(pims("status", "--json"))["clinics"][0]["credentials"] is None


def test_only_the_terminal_room_writes_and_reads_streams() -> None:
    files = modules(CLI)
    assert CLI / "main.py" in files
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path in files
        if path.name not in {"streams.py", "secrets.py", "errors.py"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func)
        in {"print", "click.echo", "click.secho", "click.prompt", "click.confirm", "Console"}
        | {"sys.stdout.write", "sys.stderr.write", "sys.stdin.read", "input", "json.dumps"}
        and not (path.name == "case_history.py" and ast.unparse(node.func) == "json.dumps")
    ]
    assert not found
