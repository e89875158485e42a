"""Signing in and out."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from pims_pipeline.console.access import cookies
from pims_pipeline.console.access.forms import OwnForm, SentForm
from pims_pipeline.console.access.peers import client_of
from pims_pipeline.console.access.visitors import proxy_user
from pims_pipeline.console.context import context_of
from pims_pipeline.console.errors import RETRY_SECONDS
from pims_pipeline.console.rendering import page
from pims_pipeline.local_trust.clients import network_of
from pims_pipeline.operations.operators.passwords import TooBusy
from pims_pipeline.operations.operators.sign_in import (
    SignInRefused,
    TooManyAttempts,
    sign_in,
    sign_out,
)

router = APIRouter()

_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,1000}")
"""A path of this console. Two slashes, or a backslash, would begin the name of another host."""
_NO_TLS = (
    "At an address without TLS, the browser keeps no sign-in. Open the console at its address with "
    "https."
)
_WRONG = "The name or the password is wrong."


@router.get("/sign-in")
def sign_in_page(request: Request, wanted: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Show the form; or go on, if an identity proxy signs operators in."""
    if proxy_user(request, context_of(request.app)) is not None:
        return _go_on(request, wanted)
    return _form(request, wanted)


@router.post("/sign-in")
def send_sign_in(request: Request, form: OwnForm) -> Response:
    """Check name and password, and let the browser keep a new id."""
    wanted, name = form.text("next"), form.text("name")
    if not cookies.is_kept(request):
        return _form(request, wanted, name=name, problem=_NO_TLS, status=HTTPStatus.FORBIDDEN)
    try:
        opened = sign_in(
            context_of(request.app).engine,
            name,
            form.text("password"),
            address=network_of(client_of(request)),
            former_id=cookies.sign_in_id(request),
        )
    except SignInRefused:
        return _form(request, wanted, name=name, problem=_WRONG, status=HTTPStatus.FORBIDDEN)
    except TooManyAttempts as error:
        problem = f"Too many attempts. Try again in {-(-error.seconds // 60)} min."
        status = HTTPStatus.TOO_MANY_REQUESTS
        return _later(_form(request, wanted, name=name, problem=problem, status=status), error)
    except TooBusy:
        problem = "Too many people sign in at this moment. Try again in a few seconds."
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return _later(_form(request, wanted, name=name, problem=problem, status=status))
    response = _go_on(request, wanted)
    cookies.keep(request, response, opened.id)
    return response


@router.post("/sign-out")
def send_sign_out(request: Request, form: SentForm) -> Response:
    """End the sign-in, and let the browser forget it."""
    visitor = form.visitor
    sign_out(visitor.context.engine, visitor.sign_in_id, visitor.view.actor)
    response = RedirectResponse(f"{_root(request)}/sign-in", HTTPStatus.SEE_OTHER.value)
    cookies.forget(request, response)
    return response


def _form(
    request: Request,
    wanted: str,
    *,
    name: str = "",
    problem: str | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    return page(
        request,
        "sign_in.html",
        status=status.value,
        next=_local(wanted),
        name=name[:100],
        problem=problem,
    )


def _later(response: Response, error: TooManyAttempts | None = None) -> Response:
    """The response, which says when to try again."""
    response.headers["Retry-After"] = str(error.seconds if error else RETRY_SECONDS)
    return response


def _go_on(request: Request, wanted: str) -> Response:
    return RedirectResponse(f"{_root(request)}{_local(wanted)}", HTTPStatus.SEE_OTHER.value)


def _local(wanted: str) -> str:
    """The path of a page of this console; the overview's if it is anything else."""
    return wanted if _LOCAL_PATH.fullmatch(wanted) else "/"


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
