"""Tables of docs/ that are generated from the code: options of commands.

``make docs`` writes them at the marks that cog reads. Explanations belong in the documents; names,
defaults and meanings belong in the code.
"""  # noqa: INP001 - a script's part, not part of a package

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
from pydantic.fields import FieldInfo

from pims_pipeline.cli.main import main
from pims_pipeline.conformance.conditions import VendorCondition
from pims_pipeline.providers.registry import registry
from pims_pipeline.setting_areas import SettingsArea


def command(path: str) -> click.Command:
    """The command ``pims path``.

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
    """Its help, with what ``--help`` adds: choices, range, default, whether it is required."""
    parts = [" ".join((option.help or "").split())]
    if isinstance(option.type, click.Choice):
        parts.append(", ".join(f"`{choice}`" for choice in option.type.choices) + ".")
    elif isinstance(option.type, click.IntRange | click.FloatRange):
        parts.append(_range(option.type))
    if option.required:
        parts.append("Required.")
    elif isinstance(option.show_default, str):
        parts.append(f"Default: {option.show_default}.")
    elif option.show_default and option.default is not None:
        parts.append(f"Default: `{option.default}`.")
    return " ".join(part for part in parts if part).replace("|", "\\|")


def _range(bounds: click.IntRange | click.FloatRange) -> str:
    if bounds.max is None:
        return f"At least {bounds.min}."
    return f"Between {bounds.min} and {bounds.max}."


EXAMPLE = Path(__file__).parent.parent / "examples" / "provider-package"
"""The package that docs/providers/writing-one.md builds, file by file."""


def example_file(name: str) -> str:
    """A file of the example package as a fenced block, after its name."""
    language = "toml" if name.endswith(".toml") else "python"
    text = (EXAMPLE / name).read_text(encoding="utf-8")
    return f"\n`{name}`:\n\n```{language}\n{text}```\n\n"


def conditions_table() -> str:
    """The conditions of the conformance kit as a Markdown table."""
    meanings = _attribute_docstrings(VendorCondition)
    rows = [f"| `{name}` | {meaning} |" for name, meaning in meanings]
    return "\n".join(["| condition | what happens |", "|---|---|", *rows, ""])


def providers_table() -> str:
    """The installed providers as a Markdown table."""
    rows = (
        f"| `{each.type}` | {each.title} | `{each.base_url_example}` | "
        f"{', '.join(f'`{name}`' for name in sorted(each.capabilities))} |"
        for each in registry().installed().providers
    )
    return "\n".join(
        ["| type | system | base URL, such as | capabilities |", "|---|---|---|---|", *rows, ""]
    )


def credential_fields_table() -> str:
    """The fields of all providers' logins as a Markdown table."""
    rows = (
        f"| `{each.type}` | `{field.name}` | {'secret' if field.secret else 'open'} | "
        f"{'yes' if field.required else 'no'} | {field.help or field.label + '.'} |"
        for each in registry().installed().providers
        for field in each.credential_fields
    )
    return "\n".join(
        ["| provider | field | kind | required | meaning |", "|---|---|---|---|---|", *rows, ""]
    )


def settings_table(area: type[SettingsArea]) -> str:
    """The variables of ``area`` as a Markdown table: default, permitted values, meaning.

    Raises:
        LookupError: If a field has no docstring, which is its meaning.
    """
    meanings = dict(_attribute_docstrings(area))
    missing = sorted(set(area.model_fields) - set(meanings))
    if missing:
        raise LookupError(f"{area.__name__}: no docstring below {', '.join(missing)}")
    rows = [
        (f"`{field.validation_alias}`", _default(field), field.description, meanings[name])
        for name, field in area.model_fields.items()
    ]
    lines = [
        f"| {variable} | {default} | {values} | {meaning} |"
        for variable, default, values, meaning in rows
    ]
    heading = ["| variable | default | must be | meaning |", "|---|---|---|---|"]
    return "\n".join([*heading, *lines, ""])


_STATEMENTS = ast.AnnAssign | ast.Assign | ast.Expr


def _attribute_docstrings(area: type) -> Iterator[tuple[str, str]]:
    """The fields of ``area`` with the docstrings below them, each as one line of Markdown."""
    module = ast.parse(textwrap.dedent(inspect.getsource(area)))
    statements = [each for each in ast.walk(module) if isinstance(each, _STATEMENTS)]
    for field, after in itertools.pairwise(statements):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(name)) | ast.Assign(targets=[ast.Name(name)]),
                ast.Expr(ast.Constant(str(text))),
            ):
                yield name, " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    """The default as it is written into the environment."""
    match field.default:
        case bool(value):
            return f"`{value}`".lower()
        case int(value) | float(value):
            return f"`{value:g}`"
        case str() | Path():
            return f"`{field.default}`"
        case _:
            return "unset"
