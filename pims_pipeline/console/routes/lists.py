"""What the lists of several pages have in common: the clinic in the address, and their parts."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Path, Query, Request
from starlette.responses import RedirectResponse

SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{1,39}$"
PER_PAGE = 100

Slug = Annotated[str, Path(pattern=SLUG_PATTERN)]
"""The clinic of a page."""
ChosenClinic = Annotated[str | None, Query(alias="clinic", pattern=SLUG_PATTERN)]
"""The clinic that a list is restricted to."""
Everything = Annotated[bool, Query(alias="all")]
"""Whether a list shows also what needs no one any more."""
Number = Annotated[int, Query(alias="page", ge=1, le=10_000)]
"""The part of a list, from 1."""

Item = TypeVar("Item")


def part_of(items: Sequence[Item], number: int) -> tuple[Sequence[Item], dict[str, Any]]:
    """The items of a part, and what the template's links to others need."""
    last = parts_of(len(items))
    number = min(number, last)
    part = items[(number - 1) * PER_PAGE : number * PER_PAGE]
    return part, {"number": number, "last": last}


def parts_of(total: int) -> int:
    """How many parts a list of so many items has."""
    return max(1, -(-total // PER_PAGE))


def restriction(slug: str | None) -> dict[str, Any]:
    """What the template of a list needs of its clinic."""
    return {"slug": slug, "query": urlencode({"clinic": slug}) if slug else ""}


def go_to(request: Request, path: str) -> RedirectResponse:
    """Lead to another page of the console, after a form."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)
