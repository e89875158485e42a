"""Options and arguments that several commands take, and how their values are read."""

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


class BusinessDate(click.ParamType[date]):
    """A calendar date such as 2026-03-29, in the clinic's own time zone."""

    name = "date"
    _LENGTH = len("2026-03-29")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date that ``value`` spells; complains of anything else."""
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


json_option: Callable[[Function], Function] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
)
clinic_option: Callable[[Function], Function] = click.option(
    "--clinic", "slug", metavar="SLUG", required=True, help="Which clinic."
)
slug_argument: Callable[[Function], Function] = click.argument("slug", metavar="SLUG")


def examples(*lines: str) -> str:
    """The end of a command's help: these lines, as they would be typed."""
    # Click leaves lines after this character as they stand.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
