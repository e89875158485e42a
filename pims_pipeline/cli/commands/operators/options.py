"""What the commands about operators share: arguments, passwords, output."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.secrets import ask_secret, piped_secrets
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.domain.console.operators import check_password
from pims_pipeline.store.operators.accounts import Operator
from pims_pipeline.wire.console.operators import OperatorDocument

Function = TypeVar("Function", bound=Callable[..., Any])

name_argument: Callable[[Function], Function] = click.argument("name", metavar="NAME")
clinics_option: Callable[[Function], Function] = click.option(
    "--clinic",
    "slugs",
    metavar="SLUG",
    multiple=True,
    show_default="all clinics",
    help="The clinic that the role is for; several may be given.",
)
piped_option: Callable[[Function], Function] = click.option(
    "--password-stdin",
    "is_piped",
    is_flag=True,
    help="Read the password from standard input.",
)


def asked_password(name: str, *, is_piped: bool) -> str:
    """The new password of an operator, typed twice or piped.

    Raises:
        BadPassword: If it is too short or too long.
        Misused: If the two differ.
    """
    if is_piped:
        password = piped_secrets(["password"])["password"]
        check_password(password)
        return password
    password = ask_secret(f"New password of {name}", "password")
    check_password(password)
    if ask_secret("The same again", "password") != password:
        raise Misused("the two passwords differ; type the same one twice")
    return password


def print_operator(operator: Operator, sentence: str, *, as_json: bool) -> None:
    """Print the operator as JSON; or what was done, and the roles."""
    if as_json:
        print_json(OperatorDocument.of(operator))
        return
    say(f"{sentence} Roles: {roles_text(operator)}.")


def roles_text(operator: Operator) -> str:
    """The operator's roles, such as ``viewer (all clinics), admin (riverbend)``."""
    shown = [f"{each.role} ({each.clinic or 'all clinics'})" for each in operator.roles]
    return ", ".join(shown) or "none"
