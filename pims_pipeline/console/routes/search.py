"""Searching cases. What is searched for is personal data: it is sent in a form, never an address.

Addresses stay in the browser's history and in the logs of proxies.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.forms import SentForm
from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.rendering import page
from pims_pipeline.domain.console.search import LONGEST_SEARCH, BadSearch
from pims_pipeline.operations.console.search import MOST_FOUND, SearchPage, search_cases

router = APIRouter()


@router.get("/search")
def search_page(request: Request, visitor: SignedInVisitor) -> Response:  # noqa: ARG001 - signed in
    """Show the empty form."""
    return _page(request)


@router.post("/search")
def send_search(request: Request, form: SentForm) -> Response:
    """Show the cases that match."""
    wanted = form.text("text")[:LONGEST_SEARCH]
    try:
        return _page(request, wanted, search_cases(form.visitor.view, wanted))
    except BadSearch as error:
        return _page(request, wanted, problem=str(error))


def _page(
    request: Request, wanted: str = "", seen: SearchPage | None = None, problem: str | None = None
) -> Response:
    return page(
        request,
        "search.html",
        wanted=wanted,
        seen=seen,
        problem=problem,
        longest=LONGEST_SEARCH,
        most=MOST_FOUND,
    )
