"""The commands, arguments and options that scripts depend on, as one page: ``outline.txt``.

A change of it is a change for users. ``PIMS_WRITE_OUTLINE=1`` writes it again.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from pims_pipeline.cli.main import main

OUTLINE = Path(__file__).with_name("outline.txt")


def commands(command: click.Command, path: str) -> Iterator[str]:
    """A line for each command below ``command``, with what can be typed after it."""
    if not isinstance(command, click.Group):
        yield " ".join([path, *map(_words, command.params)])
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from commands(child, f"{path} {name}")


def _words(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return "/".join([*parameter.opts, *parameter.secondary_opts])
    return parameter.make_metavar(click.Context(main))


def test_commands_and_options_are_those_of_the_outline() -> None:
    outline = "\n".join([*commands(main, "pims"), ""])
    if os.environ.get("PIMS_WRITE_OUTLINE"):
        OUTLINE.write_text(outline, encoding="utf-8")

    assert outline == OUTLINE.read_text(encoding="utf-8"), "PIMS_WRITE_OUTLINE=1 writes it again"
