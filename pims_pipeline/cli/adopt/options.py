"""Options that several commands of ``pims adopt`` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pims_pipeline.store.v4.installation import DEFAULT_SCHEMA

Function = TypeVar("Function", bound=Callable[..., Any])


def number_of(cases: int) -> str:
    """``1 case``, ``2 cases``."""
    return f"{cases} case{'' if cases == 1 else 's'}"


schema_option: Callable[[Function], Function] = click.option(
    "--schema",
    default=DEFAULT_SCHEMA,
    show_default=True,
    help="The schema that holds the tables of the v4.0 installation.",
)
