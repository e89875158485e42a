"""Tables of docs/ that are generated from the code: options of commands.

``make docs`` writes them at the marks that cog reads. Explanations belong in the documents; names,
defaults and meanings belong in the code.
"""  # noqa: INP001 - a script's part, not part of a package

from collections.abc import Iterator

import click

from pims_pipeline.cli.main import main


def command(path: str) -> click.Command:
    """The command at ``path``, which is typed after ``pims``.

    Raises:
        LookupError: If there is none.
    """
    found: click.Command = main
    for name in path.split():
        child = (
            found.get_command(click.Context(found), name)
            if isinstance(found, click.Group)
            else None
        )
        if child is None:
            raise LookupError(f"pims {path}: there is no such command")
        found = child
    return found


def options_table(path: str) -> str:
    """The options of ``pims path`` as a Markdown table; arguments are part of its usage."""
    options = [
        each for each in command(path).params if isinstance(each, click.Option) and not each.hidden
    ]
    rows = [f"| {_names(each)} | {_meaning(each)} |" for each in options]
    return "\n".join(["| option | meaning |", "|---|---|", *rows, ""])


def _names(option: click.Option) -> str:
    return ", ".join(f"`{name}`" for name in _switches(option))


def _switches(option: click.Option) -> Iterator[str]:
    yield from option.opts
    yield from option.secondary_opts


def _meaning(option: click.Option) -> str:
    """Its help, with what ``--help`` adds: choices, the default, whether it is required."""
    parts = [" ".join((option.help or "").split())]
    if isinstance(option.type, click.Choice):
        parts.append(", ".join(f"`{choice}`" for choice in option.type.choices) + ".")
    elif isinstance(option.type, click.IntRange | click.FloatRange):
        parts.append(f"Between {option.type.min} and {option.type.max}.")
    if option.required:
        parts.append("Required.")
    elif option.show_default and option.default is not None:
        parts.append(f"Default: `{option.default}`.")
    return " ".join(part for part in parts if part).replace("|", "\\|")
