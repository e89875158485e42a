"""The page of failures, dead letters first, and the form that retries one."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.forms import SentForm
from pims_pipeline.console.access.visitors import SignedInVisitor, Visitor
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import (
    PER_PAGE,
    ChosenClinic,
    Everything,
    Number,
    go_to,
    parts_of,
    restriction,
)
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.operations.console.dead_letters import failures_page, retry
from pims_pipeline.operations.console.rights import NotAllowed
from pims_pipeline.operations.console.visible import NotVisible

router = APIRouter()


@router.get("/failures")
def list_failures(
    request: Request,
    visitor: SignedInVisitor,
    slug: ChosenClinic = None,
    everything: Everything = False,  # noqa: FBT002 - a parameter of the address
    number: Number = 1,
) -> Response:
    """Show the open failures, dead letters first; with ``all=1``, resolved ones too."""
    return _shown(request, visitor, slug, everything=everything, number=number)


@router.post("/failures/{failure_id}/retry")
def send_retry(request: Request, form: SentForm, failure_id: UUID) -> Response:
    """Start the run that retries a failure, and show its progress."""
    visitor = form.visitor
    context = visitor.context
    try:
        started = retry(
            visitor.view, failure_id, earliest=context.partition_start, runs=context.runs
        )
    except (NotVisible, NotAllowed):
        raise
    except UserFacingError as error:
        return _shown(request, visitor, None, problem=str(error))
    return go_to(request, f"/clinics/{started.slug}/syncs/{started.id}")


def _shown(
    request: Request,
    visitor: Visitor,
    slug: str | None,
    *,
    everything: bool = False,
    number: int = 1,
    problem: str | None = None,
) -> Response:
    skip = (number - 1) * PER_PAGE
    seen = failures_page(visitor.view, slug, open_only=not everything, skip=skip, limit=PER_PAGE)
    return page(
        request,
        "failures.html",
        status=(HTTPStatus.CONFLICT if problem else HTTPStatus.OK).value,
        seen=seen,
        failures=seen.failures,
        everything=everything,
        problem=problem,
        **restriction(slug),
        number=number,
        last=parts_of(seen.total),
    )
