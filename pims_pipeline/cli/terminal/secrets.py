"""Logins that the user types or pipes. Their characters never reach an error message."""

import codecs
import sys
from collections.abc import Sequence

import click

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import plain_name
from pims_pipeline.observability.printable import is_control

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def ask_secret(prompt: str, name: str, *, required: bool = True) -> str:
    """The secret that the user types at a prompt, which does not show it.

    Args:
        prompt: What is asked for.
        name: What it is, for errors, such as ``password``.
        required: False accepts nothing, as an empty text.

    Raises:
        Misused: If a control character was typed.
    """
    default = None if required else ""
    entered: str = click.prompt(
        prompt, hide_input=True, err=True, default=default, show_default=False
    )
    return _checked_secret(entered, name)


def ask_open(prompt: str, *, required: bool = True) -> str:
    """What the user types at a prompt that shows it; empty only if it is not required.

    Raises:
        Misused: If a control character was typed.
    """
    default = None if required else ""
    entered: str = click.prompt(prompt, err=True, default=default, show_default=False)
    return plain_name(entered, prompt) if entered.strip() else ""


def piped_secrets(names: Sequence[str]) -> dict[str, str]:
    """The secrets on standard input by name, without a byte order mark and line ends.

    Several are one line each, in the order of ``names``.

    Raises:
        Misused: If one is missing, if it is not text in UTF-8 or UTF-16, or if it holds a
            control character. The secret itself is never shown.
    """
    what = " and ".join(names)
    text = _decoded(sys.stdin.buffer.read(), what).removesuffix("\n").removesuffix("\r")
    lines = [each.removesuffix("\r") for each in text.split("\n")] if len(names) > 1 else [text]
    if not text:
        raise Misused(f"standard input was empty; pipe the {what} into the command")
    if len(lines) != len(names) or not all(lines):
        raise Misused(
            f"standard input does not hold the {what} as one line each; pipe {len(names)} lines"
        )
    return {name: _checked_secret(line, name) for name, line in zip(names, lines, strict=True)}


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
