"""Secrets that the user types or pipes. Their characters never reach an error message."""

import codecs
import sys

import click

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.observability.printable import is_control

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def ask_secret(prompt: str) -> str:
    """The secret that the user types at a prompt, which does not show it.

    Raises:
        Misused: If standard input is not a terminal, or a control character was typed.
    """
    if not sys.stdin.isatty():
        raise Misused(
            f"cannot ask for the {prompt.lower()}: standard input is not a terminal; pipe the "
            f"{prompt.lower()} into the command and give --{prompt.lower()}-stdin"
        )
    entered: str = click.prompt(prompt, hide_input=True, err=True)
    return _checked_secret(entered, prompt.lower())


def piped_secret(name: str) -> str:
    """The secret on standard input, without a byte order mark and a line end.

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
