"""Options and arguments that several commands share, and the types of their values."""

import getpass
import os
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.domain.api_keys import LONGEST_WAIT_SECONDS
from pims_pipeline.observability.printable import is_control

Function = TypeVar("Function", bound=Callable[..., Any])


class BusinessDate(click.ParamType[date]):
    """A calendar date such as 2026-03-29, in the clinic's own time zone."""

    name = "date"
    _LENGTH = len("2026-03-29")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Parse ``value``; fails on anything else."""
        if isinstance(value, date):
            return value
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
        # fromisoformat also takes 20260329 and 2026-W13-7.
        if day is None or len(value) != self._LENGTH or "W" in value:
            self.fail(f"{value!r} is not a date; write it like 2026-03-29", param, ctx)
        return day


class ProviderType(click.ParamType[str]):
    """The type of an installed provider. Only its package is imported."""

    name = "provider"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that it is installed; fails on anything else.

        Raises:
            UnusableProvider: If its package is broken.
        """
        # Other commands need no list of the installed packages.
        from pims_pipeline.providers.registry import (  # noqa: PLC0415 - see above
            UnknownProvider,
            registry,
        )

        try:
            return registry().description(str(value)).type
        except UnknownProvider as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """The installed types that begin with ``incomplete``."""
        from pims_pipeline.providers.registry import registry  # noqa: PLC0415 - see above

        return [CompletionItem(each) for each in registry().types if each.startswith(incomplete)]


clinic_option: Callable[[Function], Function] = click.option(
    "--clinic", "slug", metavar="SLUG", required=True, help="The clinic."
)
clinic_filter: Callable[[Function], Function] = click.option(
    "--clinic", "slug", metavar="SLUG", show_default="all clinics", help="Only this clinic."
)
wait_option: Callable[[Function], Function] = click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=click.IntRange(1, LONGEST_WAIT_SECONDS),
    show_default="no wait",
    help="How long requests with the key wait for their syncs to end, unless they say otherwise: "
    "for clients that expect the result in the response.",
)
slug_argument: Callable[[Function], Function] = click.argument("slug", metavar="SLUG")


def _named_person(context: click.Context, option: click.Parameter, name: str | None) -> str:  # noqa: ARG001 - click's signature
    return _system_user() if name is None else plain_name(name, "--by")


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # In a container, a user id often has no name.
        return f"user {os.getuid()}"


def by_option(destination: str, who: str) -> Callable[[Function], Function]:
    """The option ``--by``: who decides, for the record; ``who`` says so in the help."""
    return click.option(
        "--by",
        destination,
        metavar="NAME",
        callback=_named_person,
        show_default="this machine's user",
        help=f"{who}, for the record.",
    )


def json_option(document: str) -> Callable[[Function], Function]:
    """The option ``--json``.

    Args:
        document: What is printed then, for the help.
    """
    return click.option(
        "--json", "as_json", is_flag=True, help=f"Print one JSON document: {document}."
    )


def examples(*lines: str) -> str:
    """The end of a command's help: these lines as examples."""
    # Click does not rewrap the paragraph after this character.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def plain_name(text: str, option: str, *, longest: int = 200) -> str:
    """The value of ``option`` as a name, without white space at its ends.

    Raises:
        Misused: If it is empty, longer than ``longest``, or holds a control character.
    """
    name = text.strip()
    if not name:
        raise Misused(f"{option} is empty; write at least one character")
    if any(is_control(character) for character in name):
        raise Misused(f"{option} holds a control character or a line break; write plain text")
    if len(name) > longest:
        raise Misused(f"{option} is longer than {longest} characters; shorten it")
    return name
