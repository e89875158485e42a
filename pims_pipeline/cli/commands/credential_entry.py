"""What a person enters as a clinic's login: options, piped secrets and prompts.

The provider declares the fields. A secret is never read from the command line, where other users
could see it. The check of the values belongs in ``providers/credential_fields.py``.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import plain_name
from pims_pipeline.cli.terminal.secrets import ask_open, ask_secret, piped_secrets
from pims_pipeline.providers.credential_fields import FIELD_NAME, CredentialField
from pims_pipeline.providers.description import ProviderDescription

_OF_OPTION = {
    "company_id": "--company-id",
    "username": "--username",
    "password": "--password-stdin",
}
"""Fields with an option of their own."""


def field_values(
    context: click.Context,  # noqa: ARG001 - click's signature
    option: click.Parameter,  # noqa: ARG001 - as above
    typed: Sequence[str],
) -> dict[str, str]:
    """The values of ``--field NAME=VALUE`` by name.

    Raises:
        Misused: If one has another form or is repeated. What was typed is not shown: it may be
            a secret.
    """
    values: dict[str, str] = {}
    for each in typed:
        name, equals, value = each.partition("=")
        if not equals or FIELD_NAME.fullmatch(name) is None:
            raise Misused(
                "--field is written NAME=VALUE, with the name of a credential field; "
                "`pims providers show` lists them"
            )
        if name in values:
            raise Misused(f"--field {name} is given twice; give it once")
        values[name] = value
    return values


def entered_fields(
    provider: ProviderDescription, given: Mapping[str, str], piped: Sequence[str]
) -> dict[str, str]:
    """The fields that were given and piped; a terminal is asked for the others.

    Args:
        provider: Declares the fields.
        given: The values of open fields, by name.
        piped: The names of the secrets on standard input, in their order there.

    Raises:
        Misused: If a field is unknown, a secret was given openly, or one is missing and there is
            no terminal to ask. No message holds a value.
    """
    fields = {each.name: each for each in provider.credential_fields}
    for name in (*given, *piped):
        if name not in fields:
            known = ", ".join(fields)
            raise Misused(f"{provider.title} has no credential field {name!r}; it has {known}")
    _refuse_misplaced([fields[name] for name in given], [fields[name] for name in piped])
    entered = {name: plain_name(value, _option(fields[name])) for name, value in given.items()}
    if piped:
        entered |= piped_secrets(piped)
    return entered | dict(_asked([each for each in fields.values() if each.name not in entered]))


def _refuse_misplaced(given: Sequence[CredentialField], piped: Sequence[CredentialField]) -> None:
    """Refuse a secret on the command line, and an open field on standard input."""
    for each in given:
        if each.secret:
            raise Misused(
                f"the credential field {each.name!r} is secret, and other users can see the "
                "command line: leave it out to be asked for it, or pipe it in and give "
                f"{_option(each)}"
            )
    for each in piped:
        if not each.secret:
            raise Misused(f"the credential field {each.name!r} is not secret; give {_option(each)}")


def _asked(fields: Sequence[CredentialField]) -> Iterator[tuple[str, str]]:
    """The fields that remain, from a terminal; without one, only optional ones may."""
    has_terminal = sys.stdin.isatty()
    for each in fields:
        if has_terminal:
            yield each.name, _ask(each)
        elif each.required:
            raise Misused(
                f"the credential field {each.name!r} ({each.label}) is missing, and standard input "
                f"is not a terminal: give {_option(each)}"
            )


def _ask(field: CredentialField) -> str:
    label = field.label if field.required else f"{field.label} (optional)"
    if field.secret:
        return ask_secret(label, field.name, required=field.required)
    return ask_open(label, required=field.required)


def _option(field: CredentialField) -> str:
    """The option that gives the field."""
    own = _OF_OPTION.get(field.name)
    if own is not None and field.secret == own.endswith("-stdin"):
        return own
    return f"--secret-stdin {field.name}" if field.secret else f"--field {field.name}=…"
