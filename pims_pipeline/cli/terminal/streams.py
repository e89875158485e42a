"""Standard output and error of the command line, written only here.

So no name can send control characters to a terminal, no encoding of a pipe can end a command,
and JSON is always valid. A test finds other writes. Tables belong in ``tables``.
"""

import codecs
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TextIO

from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.observability.printable import is_control, printable

if TYPE_CHECKING:
    from rich.console import Console

    from pims_pipeline.wire.shape import Model

_WIDE = 1000
"""Columns where standard output is not a terminal: programs must get whole values."""

_DEGRADE = "pims.degrade"
_PLAIN_SIGNS = {"…": "...", "–": "-", "—": "-", "→": "->", "×": "x", "’": "'", "“": '"', "”": '"'}
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def _fill_place(number: int) -> None:
    """Open the null device as descriptor ``number``, unless that is open."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


@contextmanager
def written_out() -> Iterator[None]:
    """Report a failed write to standard output in the block.

    Raises:
        Refused: If the write fails, for example on a full disk. Click handles a closed pipe.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        problem = f"standard output cannot be written ({reason}); the output is lost"
        # Otherwise the interpreter writes again at exit, and prints its own error.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return
    raise Refused(problem)


def prepare_streams() -> None:
    """Let standard output and error take any text in any encoding.

    A character that the encoding lacks is written plainly ("->" for an arrow) or as an escape. A
    stream that the parent process closed is opened on the null device, so that no file opened
    later gets its descriptor.
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
    """Print ``text`` on standard output or standard error.

    Its line breaks are kept; every other control character is shown as an escape.
    """
    # Not click.echo: it writes UTF-8 into a pipe that is ASCII.
    stream = sys.stderr if err else sys.stdout
    with nullcontext() if err else written_out():
        stream.write("\n".join(printable(line) for line in text.split("\n")) + "\n")
        stream.flush()


def print_json(document: "Model | Mapping[str, Any]") -> None:
    """Print one JSON document on standard output.

    It is in UTF-8 where standard output is, and in ASCII everywhere else: any program can read
    both. Control characters are written as escapes.
    """
    plain = document if isinstance(document, Mapping) else document.model_dump(mode="json")
    written = json.dumps(plain, ensure_ascii=not _is_utf8(sys.stdout), indent=2)
    with written_out():
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{_STEERING.sub(_json_escape, written)}\n".encode())
        sys.stdout.buffer.flush()


# Candidates for an escape: everything but printable ASCII and line breaks.
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
    """A console on standard output; wide enough for whole values if that is not a terminal.

    Pass external text through ``printable`` first.
    """
    return console_on(sys.stdout, width=None if sys.stdout.isatty() else _WIDE)


def console_on(stream: TextIO, *, width: int | None = None) -> "Console":
    """A console without markup, because names may hold brackets and colons."""
    from rich.console import Console  # noqa: PLC0415 - slow, and `pims --help` does not need it

    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def duplicate(stream: TextIO) -> TextIO:
    """A second stream to the target of ``stream``, which stays when ``stream`` is redirected."""
    stream.flush()
    return os.fdopen(
        os.dup(stream.fileno()), "w", encoding=stream.encoding or "utf-8", errors=_DEGRADE
    )
