"""``pims operators password`` and ``roles``: change an operator."""

import click

from pims_pipeline.cli.commands.operators.options import (
    asked_password,
    clinics_option,
    name_argument,
    piped_option,
    print_operator,
)
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.operators.accounts import (
    existing_operator,
    give_role,
    set_password,
    take_role,
)
from pims_pipeline.settings import Settings


@click.command("password", cls=Command, epilog=examples("pims operators password ann"))
@name_argument
@piped_option
@json_option("the operator as `pims operators list` does")
@click.pass_obj
def password_command(settings: Settings, *, name: str, is_piped: bool, as_json: bool) -> None:
    """Set an operator's password; signed out everywhere.

    The password is asked for twice, or read from standard input. It has 12 characters or more.
    """
    with open_store(settings) as store:
        operator = existing_operator(store.engine, name)
        set_password(store.engine, operator.name, asked_password(operator.name, is_piped=is_piped))
        operator = existing_operator(store.engine, operator.name)
    print_operator(operator, f"The password of {operator.name} is set.", as_json=as_json)


@click.command(
    "roles",
    cls=Command,
    epilog=examples(
        "pims operators roles ben",
        "pims operators roles ben --set operator --clinic riverbend",
        "pims operators roles ben --remove --clinic oak-lane",
    ),
)
@name_argument
@click.option(
    "--set",
    "role",
    type=click.Choice([each.value for each in OperatorRole]),
    help="The role, in place of a former one there.",
)
@click.option("--remove", "is_removed", is_flag=True, help="Take the role away.")
@clinics_option
@json_option("the operator as `pims operators list` does")
@click.pass_obj
def roles_command(
    settings: Settings,
    *,
    name: str,
    role: str | None,
    is_removed: bool,
    slugs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show an operator's roles, or set or take away one; holds from the next page on.

    A role is for the clinics that are named, or for all clinics. Where an operator has both, the
    higher one counts.
    """
    if role is not None and is_removed:
        raise Misused("--set and --remove contradict each other; give one of them")
    if slugs and role is None and not is_removed:
        raise Misused("--clinic needs --set or --remove")
    with open_store(settings) as store:
        if role is not None:
            operator = give_role(store.engine, name, OperatorRole(role), slugs)
        elif is_removed:
            operator = take_role(store.engine, name, slugs)
        else:
            operator = existing_operator(store.engine, name)
    print_operator(operator, f"{operator.name}.", as_json=as_json)
