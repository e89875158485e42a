"""The pages of holds, and the forms that decide them."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.forms import SentForm, VisitorsForm
from pims_pipeline.console.access.visitors import SignedInVisitor, Visitor
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import (
    ChosenClinic,
    Everything,
    Number,
    go_to,
    part_of,
    restriction,
)
from pims_pipeline.domain.console.decisions import BadReason
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.operations.console.holds import (
    approve,
    hold_page,
    holds_page,
    look_again,
    reject,
    reopen,
)
from pims_pipeline.operations.console.launching import StartedSync
from pims_pipeline.operations.console.rights import NotAllowed
from pims_pipeline.operations.console.visible import NotVisible

router = APIRouter()


@router.get("/holds")
def list_holds(
    request: Request,
    visitor: SignedInVisitor,
    slug: ChosenClinic = None,
    everything: Everything = False,  # noqa: FBT002 - a parameter of the address
    number: Number = 1,
) -> Response:
    """Show the holds that wait, newest first; with ``all=1``, decided ones too."""
    seen = holds_page(visitor.view, slug, waiting_only=not everything)
    holds, links = part_of(seen.found.holds, number)
    return page(
        request,
        "holds.html",
        seen=seen,
        holds=holds,
        everything=everything,
        **restriction(slug),
        **links,
    )


@router.get("/holds/{hold_id}")
def show_hold(request: Request, visitor: SignedInVisitor, hold_id: UUID) -> Response:
    """Show a hold case by case, with what the vendor said last."""
    return _shown(request, visitor, hold_id)


@router.post("/holds/{hold_id}/approve")
def send_approval(request: Request, form: SentForm, hold_id: UUID) -> Response:
    """Start the run that approves the hold, and show its progress."""
    context = form.visitor.context

    def approved(reason: str) -> StartedSync:
        return approve(
            form.visitor.view,
            hold_id,
            reason=reason,
            earliest=context.partition_start,
            runs=context.runs,
        )

    return _decided(request, form, hold_id, "approve", approved)


@router.post("/holds/{hold_id}/reject")
def send_rejection(request: Request, form: SentForm, hold_id: UUID) -> Response:
    """Reject the hold, and show it."""

    def rejected(reason: str) -> None:
        reject(form.visitor.view, hold_id, reason=reason)

    return _decided(request, form, hold_id, "reject", rejected)


@router.post("/holds/{hold_id}/reopen")
def send_reopening(request: Request, form: SentForm, hold_id: UUID) -> Response:
    """End the rejection of the hold, and show it."""

    def reopened(reason: str) -> None:
        reopen(form.visitor.view, hold_id, reason=reason)

    return _decided(request, form, hold_id, "reopen", reopened)


@router.post("/holds/{hold_id}/look-again")
def send_look(request: Request, form: SentForm, hold_id: UUID) -> Response:
    """Start a run that asks the vendor again, and show its progress."""
    context = form.visitor.context

    def looked(_: str) -> StartedSync:
        return look_again(
            form.visitor.view, hold_id, earliest=context.partition_start, runs=context.runs
        )

    return _decided(request, form, hold_id, "look-again", looked)


def _decided(
    request: Request,
    form: VisitorsForm,
    hold_id: UUID,
    tried: str,
    decide: Callable[[str], StartedSync | None],
) -> Response:
    """Decide, and lead on; or show the hold again with what is wrong."""
    reason = form.text("reason")
    try:
        started = decide(reason)
    except (NotVisible, NotAllowed):
        raise
    except BadReason as error:
        return _shown(
            request, form.visitor, hold_id, tried=tried, reason=reason, reason_problem=str(error)
        )
    except UserFacingError as error:
        return _shown(
            request, form.visitor, hold_id, tried=tried, reason=reason, problem=str(error)
        )
    if started is None:
        return go_to(request, f"/holds/{hold_id}")
    return go_to(request, f"/clinics/{started.slug}/syncs/{started.id}")


def _shown(
    request: Request,
    visitor: Visitor,
    hold_id: UUID,
    *,
    tried: str = "",
    reason: str = "",
    problem: str | None = None,
    reason_problem: str | None = None,
) -> Response:
    is_wrong = problem is not None or reason_problem is not None
    status = HTTPStatus.CONFLICT if is_wrong else HTTPStatus.OK
    return page(
        request,
        "hold.html",
        status=status.value,
        seen=hold_page(visitor.view, hold_id),
        tried=tried,
        reason=reason[:500],
        problem=problem,
        reason_problem=reason_problem,
    )
