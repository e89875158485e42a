"""The pages of schedules, and the form that changes one.

A schedule is saved only after the page has shown the next times of these very values: the form
carries their digest.
"""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.forms import SentForm
from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.errors import Forbidden
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Number, Slug, go_to, part_of
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.console.schedules import (
    NUMBERS,
    EnteredSchedule,
    ScheduleChanged,
    SchedulePage,
    change_schedule,
    schedule_page,
    schedules_page,
)

router = APIRouter()

_FIELDS = (*(phase.value for phase in Phase), *NUMBERS)
_LONGEST = 300


@router.get("/schedules")
def list_schedules(request: Request, visitor: SignedInVisitor, number: Number = 1) -> Response:
    """Show when each clinic is synced."""
    rows, links = part_of(schedules_page(visitor.view), number)
    return page(request, "schedules.html", rows=rows, phases=tuple(Phase), **links)


@router.get("/clinics/{slug}/schedule")
def show_schedule(
    request: Request,
    visitor: SignedInVisitor,
    slug: Slug,
    saved: bool = False,  # noqa: FBT001, FBT002 - a parameter of the address
) -> Response:
    """Show the schedule of a clinic, with the next five times of each phase."""
    return _shown(request, schedule_page(visitor.view, slug), is_saved=saved)


@router.post("/clinics/{slug}/schedule")
def send_schedule(request: Request, form: SentForm, slug: Slug) -> Response:
    """Show the next times of what was entered; or save it, if they were shown."""
    view = form.visitor.view
    entered = EnteredSchedule({name: form.text(name).strip()[:_LONGEST] for name in _FIELDS})
    seen = schedule_page(view, slug, entered)
    if not seen.may_change:
        raise Forbidden("Your role at this clinic does not change schedules.")
    stored = form.text("stored")
    is_shown = form.text("shown") == entered.digest
    is_refused = form.text("do") == "save" and bool(seen.preview.problems)
    if form.text("do") != "save" or not is_shown or is_refused:
        return _shown(request, seen, stored_digest=stored, is_shown=True, is_refused=is_refused)
    try:
        change_schedule(view, slug, entered, stored_digest=stored, reason=form.text("reason"))
    except ScheduleChanged as error:
        return _shown(request, schedule_page(view, slug), problem=str(error))
    return go_to(request, f"/clinics/{slug}/schedule?saved=1")


def _shown(
    request: Request,
    seen: SchedulePage,
    *,
    stored_digest: str | None = None,
    is_shown: bool = False,
    is_saved: bool = False,
    is_refused: bool = False,
    problem: str | None = None,
) -> Response:
    return page(
        request,
        "schedule.html",
        status=(HTTPStatus.CONFLICT if problem or is_refused else HTTPStatus.OK).value,
        seen=seen,
        stored_digest=seen.stored_digest if stored_digest is None else stored_digest[:64],
        is_shown=is_shown,
        is_saved=is_saved,
        problem=problem,
        phases=tuple(Phase),
        numbers=NUMBERS,
    )
