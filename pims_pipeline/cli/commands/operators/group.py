"""``pims operators``: add, list and remove operators of the console.

Passwords and roles of an operator are in ``changing``.
"""

import click

from pims_pipeline.cli.commands.operators.changing import password_command, roles_command
from pims_pipeline.cli.commands.operators.options import (
    asked_password,
    clinics_option,
    name_argument,
    piped_option,
    print_operator,
    roles_text,
)
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.console.operators import OperatorRole, checked_name
from pims_pipeline.operations.operators.accounts import (
    create_operator,
    find_operators,
    remove_operator,
)
from pims_pipeline.settings import Settings
from pims_pipeline.wire.console.operators import OperatorDocument, OperatorList


@click.group(cls=Group)
def operators() -> None:
    """Add, list and remove operators of the console.

    A viewer sees clinics and cases. An operator also decides holds, retries failures and starts
    syncs. An admin also changes schedules. Each for single clinics or for all.
    """


@operators.command(
    epilog=examples(
        "pims operators add ann@clinic.example --role admin",
        "pims operators add ben --role viewer --clinic riverbend --clinic oak-lane",
        "pims operators add eva --role operator --no-password",
    )
)
@name_argument
@click.option(
    "--role",
    type=click.Choice([each.value for each in OperatorRole]),
    required=True,
    help="What the operator may do.",
)
@clinics_option
@piped_option
@click.option(
    "--no-password",
    "without_password",
    is_flag=True,
    help="Only an identity proxy signs the operator in; see PIMS_CONSOLE_PROXY_HEADER.",
)
@json_option("the operator as `pims operators list` does")
@click.pass_obj
def add(
    settings: Settings,
    *,
    name: str,
    role: str,
    slugs: tuple[str, ...],
    is_piped: bool,
    without_password: bool,
    as_json: bool,
) -> None:
    """Add an operator with a role, for all clinics unless some are named.

    The password is asked for twice, or read from standard input. It has 12 characters or more.
    """
    if without_password and is_piped:
        raise Misused("--no-password and --password-stdin contradict each other; give one of them")
    named = checked_name(name)
    password = None if without_password else asked_password(named, is_piped=is_piped)
    with open_store(settings) as store:
        operator = create_operator(
            store.engine, named, password=password, role=OperatorRole(role), slugs=slugs
        )
    print_operator(operator, f"Operator {operator.name} is added.", as_json=as_json)


@operators.command("list", epilog=examples("pims operators list", "pims operators list --json"))
@json_option('`{"operators": […]}`')
@click.pass_obj
def list_operators(settings: Settings, *, as_json: bool) -> None:
    """List all operators by name, including removed ones."""
    with open_store(settings) as store:
        found = find_operators(store.engine)
    if as_json:
        print_json(OperatorList.of(found))
        return
    print_table(
        ["Operator", "Roles", "Signs in", "State"],
        (
            (
                each.name,
                roles_text(each),
                "with a password" if each.has_password else "by the identity proxy",
                "active" if each.is_active else "removed",
            )
            for each in found
        ),
        empty="There is no operator; see `pims operators add --help`.",
    )


@operators.command(epilog=examples("pims operators remove ben"))
@name_argument
@json_option("the operator as `pims operators list` does")
@click.pass_obj
def remove(settings: Settings, *, name: str, as_json: bool) -> None:
    """Remove an operator: signed out at once, without roles and password.

    What the operator did stays in the log. `pims operators add` adds the name again.
    """
    with open_store(settings) as store:
        operator = remove_operator(store.engine, name)
    if as_json:
        print_json(OperatorDocument.of(operator))
        return
    say(f"Operator {operator.name} is removed.")


operators.add_command(password_command)
operators.add_command(roles_command)
