"""Starting a sync, and its progress.

The page of a sync asks for its progress every two seconds until the sync has ended. Without
JavaScript, reloading the page shows the same.
"""

from datetime import date
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.forms import SentForm, VisitorsForm
from pims_pipeline.console.access.visitors import SignedInVisitor, Visitor
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Slug, go_to
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import SCOPES, Scope
from pims_pipeline.operations.console.rights import NotAllowed
from pims_pipeline.operations.console.syncs import (
    BadDates,
    start_sync,
    sync_form,
    sync_progress,
)
from pims_pipeline.operations.console.visible import NotVisible

router = APIRouter()


@router.get("/clinics/{slug}/sync")
def show_sync_form(request: Request, visitor: SignedInVisitor, slug: Slug) -> Response:
    """Show what a sync of the clinic may cover."""
    return _form(request, visitor, slug)


@router.post("/clinics/{slug}/sync")
def send_sync(request: Request, form: SentForm, slug: Slug) -> Response:
    """Start the sync, and show its progress."""
    context = form.visitor.context
    try:
        started = start_sync(
            form.visitor.view,
            slug,
            _scope(form),
            (_day(form, "first"), _day(form, "last")),
            reason=form.text("reason"),
            earliest=context.partition_start,
            runs=context.runs,
        )
    except (NotVisible, NotAllowed):
        raise
    except BadDates as error:
        return _form(request, form.visitor, slug, form, dates_problem=str(error))
    except UserFacingError as error:
        return _form(request, form.visitor, slug, form, problem=str(error))
    return go_to(request, f"/clinics/{started.slug}/syncs/{started.id}")


@router.get("/clinics/{slug}/syncs/{sync_id}")
def show_sync(request: Request, visitor: SignedInVisitor, slug: Slug, sync_id: UUID) -> Response:
    """Show a sync that an operator started, and how far it is."""
    return _progress(request, visitor, slug, sync_id, "sync_progress.html")


@router.get("/clinics/{slug}/syncs/{sync_id}/progress")
def show_progress(
    request: Request, visitor: SignedInVisitor, slug: Slug, sync_id: UUID
) -> Response:
    """The part of that page that changes."""
    return _progress(request, visitor, slug, sync_id, "progress.html")


def _progress(
    request: Request, visitor: Visitor, slug: str, sync_id: UUID, template: str
) -> Response:
    context = visitor.context
    seen = sync_progress(visitor.view, slug, sync_id, runs=context.runs)
    return page(request, template, seen=seen, dagster_ui_url=context.dagster_ui_url)


def _form(
    request: Request,
    visitor: Visitor,
    slug: str,
    sent: VisitorsForm | None = None,
    *,
    problem: str | None = None,
    dates_problem: str | None = None,
) -> Response:
    is_wrong = problem is not None or dates_problem is not None
    return page(
        request,
        "sync.html",
        status=(HTTPStatus.CONFLICT if is_wrong else HTTPStatus.OK).value,
        seen=sync_form(visitor.view, slug, earliest=visitor.context.partition_start),
        scope=sent.text("scope") if sent else "full",
        first=sent.text("first")[:10] if sent else "",
        last=sent.text("last")[:10] if sent else "",
        reason=sent.text("reason")[:500] if sent else "",
        problem=problem,
        dates_problem=dates_problem,
    )


def _scope(form: VisitorsForm) -> Scope:
    for scope in SCOPES:
        if form.text("scope") == scope:
            return scope
    raise BadDates("choose what to sync")


def _day(form: VisitorsForm, name: str) -> date | None:
    text = form.text(name).strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadDates("give dates such as 2026-03-09") from None
