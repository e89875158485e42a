"""The terminal and the pipe: the only place of the command line that writes or reads them.

What a command prints goes through here, so that no name steers a terminal, no encoding of a
pipe ends a command, and JSON is valid whoever reads it. A test finds any other way out. What
is printed, as tables or documents, is ``output``'s.
"""

import codecs
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.observability.printable import is_control, printable

if TYPE_CHECKING:
    from rich.console import Console

    from pims_pipeline.wire.shape import Model

_WIDE = 1000
"""Columns, where nobody reads along: programs must get whole values."""

_DEGRADE = "pims.degrade"
_PLAIN_SIGNS = {"…": "...", "–": "-", "—": "-", "→": "->", "×": "x", "’": "'", "“": '"', "”": '"'}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def _fill_place(number: int) -> None:
    """Give the system's null device a descriptor's number, unless it is in use after all."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


@contextmanager
def written_out() -> Iterator[None]:
    """Within, standard output is written.

    Raises:
        Refused: If it takes nothing, as on a full disk. A reader that is gone is click's.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        problem = f"standard output cannot be written ({reason}); what was to be shown is lost"
        # Or the interpreter tries it again at its end, and complains in its own words.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return
    raise Refused(problem)


def prepare_streams() -> None:
    """Let standard output and error take any text, whatever their encoding.

    What an encoding lacks is written plainly ("->" for an arrow) or as an escape. A stream that
    whoever started this process closed is nowhere: what is opened later must not take its place.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _fill_place(number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - a descriptor, kept for good
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_DEGRADE)


def _degraded(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN_SIGNS.get(sign) or _escaped(sign) for sign in signs), error.end


def _escaped(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_DEGRADE, _degraded)


def say(text: str = "", *, err: bool = False) -> None:
    """Print ``text`` on standard output, or on standard error; its line breaks count.

    Every other control character is shown as an escape.
    """
    # Not click.echo: it writes UTF-8 into a pipe that is ASCII.
    stream = sys.stderr if err else sys.stdout
    with nullcontext() if err else written_out():
        stream.write("\n".join(printable(line) for line in text.split("\n")) + "\n")
        stream.flush()


def print_json(document: "Model | Mapping[str, Any]") -> None:
    """Print one JSON document on standard output.

    It is in UTF-8 where standard output is, and in ASCII everywhere else: both are valid
    JSON to any program. Characters that steer a terminal are written as escapes.
    """
    plain = document if isinstance(document, Mapping) else document.model_dump(mode="json")
    written = json.dumps(plain, ensure_ascii=not _is_utf8(sys.stdout), indent=2)
    with written_out():
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{_STEERING.sub(_json_escape, written)}\n".encode())
        sys.stdout.buffer.flush()


# Everything outside ASCII's printable characters and line breaks is looked at one by one.
_STEERING = re.compile(r"[^ -~\n]")


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    return json.dumps(character)[1:-1] if is_control(character) else character


def _is_utf8(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def results_console() -> "Console":
    """Standard output as wide as it is; wide enough for everything where it is no terminal.

    Texts that come from elsewhere must go through ``printable`` first.
    """
    return console_on(sys.stdout, width=None if sys.stdout.isatty() else _WIDE)


def console_on(stream: TextIO, *, width: int | None = None) -> "Console":
    """A console that takes brackets and colons for what they are: names hold them at times."""
    from rich.console import Console  # noqa: PLC0415 - costs what `pims --help` need not pay

    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def duplicate(stream: TextIO) -> TextIO:
    """Another way to where ``stream`` leads now, which stays when ``stream`` is led elsewhere."""
    stream.flush()
    return os.fdopen(
        os.dup(stream.fileno()), "w", encoding=stream.encoding or "utf-8", errors=_DEGRADE
    )


def ask_secret(prompt: str) -> str:
    """What a person types at the terminal without seeing it.

    Raises:
        Misused: If nobody is there to type, or a control character was typed.
    """
    if not sys.stdin.isatty():
        raise Misused(
            f"nobody is there to type the {prompt.lower()}; pipe it into the command and give "
            f"--{prompt.lower()}-stdin"
        )
    entered: str = click.prompt(prompt, hide_input=True, err=True)
    return _checked_secret(entered, prompt.lower())


def piped_secret(name: str) -> str:
    """The secret on standard input, without the byte order mark and line end of its writer.

    Args:
        name: What it is, for errors, such as ``password``.

    Raises:
        Misused: If there is none, if it is not text in UTF-8 or UTF-16, or if it holds a
            control character. The secret itself is never shown.
    """
    piped = sys.stdin.buffer.read()
    text = _decoded(piped, name)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Misused(f"standard input was empty; pipe the {name} into the command")
    return _checked_secret(text, name)


def _decoded(piped: bytes, name: str) -> str:
    mark = next((mark for mark in _BYTE_ORDER_MARKS if piped.startswith(mark)), b"")
    encoding = _BYTE_ORDER_MARKS.get(mark, "utf-8")
    try:
        return piped.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError:
        problem = f"the {name} on standard input is not valid {encoding.upper()}; pipe it as UTF-8"
    raise Misused(problem)


def _checked_secret(text: str, name: str) -> str:
    if any(is_control(character) for character in text):
        raise Misused(
            f"the {name} holds a control character or a line break, which no login form takes; "
            "pipe it as one line of UTF-8 text"
        )
    return text


def plain_name(text: str, option: str, *, longest: int = 200) -> str:
    """What a person typed as a name, without white space at its ends.

    Raises:
        Misused: If it is empty, too long, or holds a character that would steer a terminal.
    """
    name = text.strip()
    if not name:
        raise Misused(f"{option} is empty; write at least one character")
    if any(is_control(character) for character in name):
        raise Misused(f"{option} holds a control character or a line break; write plain text")
    if len(name) > longest:
        raise Misused(f"{option} is longer than {longest} characters; shorten it")
    return name
