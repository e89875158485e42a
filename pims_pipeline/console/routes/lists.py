"""What the addresses of several pages have in common: clinic, business date, part of a list."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Path, Query, Request
from starlette.responses import RedirectResponse

from pims_pipeline.domain.clinics import SLUG_PATTERN

_SLUG = f"^{SLUG_PATTERN.pattern}$"
PER_PAGE = 100

Slug = Annotated[str, Path(pattern=_SLUG)]
"""The clinic of a page."""
ChosenClinic = Annotated[str | None, Query(alias="clinic", pattern=_SLUG)]
"""The clinic that a list is restricted to."""
Day = Annotated[date | None, Query(alias="date", ge=date(2000, 1, 1), le=date(2100, 12, 31))]
"""The business date of a page; None for the one that the page chooses."""
Everything = Annotated[bool, Query(alias="all")]
"""Whether a list shows also what needs no one any more."""
Number = Annotated[int, Query(alias="page", ge=1, le=100_000)]
"""The part of a list, from 1."""

Item = TypeVar("Item")


def part_of(items: Sequence[Item], number: int) -> tuple[Sequence[Item], dict[str, Any]]:
    """The items of a part, and what the template's links to others need."""
    last = parts_of(len(items))
    number = min(number, last)
    part = items[(number - 1) * PER_PAGE : number * PER_PAGE]
    return part, {"number": number, "last": last}


def parts_of(total: int, size: int = PER_PAGE) -> int:
    """How many parts a list of so many items has."""
    return max(1, -(-total // size))


def restriction(slug: str | None) -> dict[str, Any]:
    """What the template of a list needs of its clinic."""
    return {"slug": slug, "query": urlencode({"clinic": slug}) if slug else ""}


def go_to(request: Request, path: str) -> RedirectResponse:
    """Lead to another page of the console, after a form."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)
