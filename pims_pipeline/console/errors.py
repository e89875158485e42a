"""What ends a request for a page otherwise than with the page, and what the browser then shows."""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pims_pipeline.console.access import cookies
from pims_pipeline.console.rendering import page
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.exceptions import described
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.operations.console.rights import NotAllowed
from pims_pipeline.operations.console.visible import NotVisible
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.locks import LockTimeout

RETRY_SECONDS = 5
_SEE_OTHER = HTTPStatus.SEE_OTHER.value

_log = get_logger(__name__)


class SignInNeeded(Exception):
    """No one is signed in; the sign-in page follows."""


class NotReady(Exception):
    """The database lacks what the console needs; the runbook has the remedy."""


class SignedInByProxy(Exception):
    """The identity proxy named an operator, who is signed in now; the same page follows.

    Attributes:
        id: What the browser must keep.
    """

    def __init__(self, id_: str) -> None:
        super().__init__("signed in")
        self.id = id_


class Forbidden(Exception):
    """The operator may not do that, or another site sent the form.

    Attributes:
        reason: One sentence for the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(Exception):
    """There is no such thing, or none that the operator may see.

    Attributes:
        reason: One sentence for the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def problem_page(request: Request, status: HTTPStatus, reason: str) -> Response:
    """A page that says what went wrong."""
    return page(
        request,
        "problem.html",
        status=status.value,
        headers=_place_of(request, status),
        title=status.phrase,
        reason=reason,
    )


def _place_of(request: Request, status: HTTPStatus) -> Mapping[str, str]:
    """Where htmx puts a problem: in place of the page, for the part that was asked for has none.

    While the server is away, a page that asks again by itself keeps what it shows. Any other is
    loaded again, and then says so. (``layout.html`` lets htmx show no 503: a proxy may send one.)
    """
    if not request.headers.get("hx-request"):
        return {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {} if request.headers.get("hx-target") == "progress" else {"HX-Refresh": "true"}
    return {"HX-Retarget": "#content", "HX-Reselect": "#content", "HX-Reswap": "outerHTML"}


async def _sign_in_needed(request: Request, _: Exception) -> Response:
    root = request.scope.get("root_path", "")
    target = f"{root}/sign-in?next={quote(_page_of(request).removeprefix(root))}"
    if request.headers.get("hx-request"):
        # A redirect would put the sign-in page into a part of this one.
        return Response(status_code=HTTPStatus.UNAUTHORIZED.value, headers={"HX-Redirect": target})
    return RedirectResponse(target, _SEE_OTHER)


def _page_of(request: Request) -> str:
    """The address of the page that was asked for, or of which a part was; without the host."""
    root = request.scope.get("root_path", "")
    is_part = bool(request.headers.get("hx-request"))
    address = request.headers.get("hx-current-url", "") if is_part else str(request.url)
    try:
        found = urlsplit(address)
    except ValueError:
        return f"{root}/"
    if not found.path.startswith(f"{root}/") or (request.method != "GET" and not is_part):
        return f"{root}/"
    return f"{found.path}?{found.query}" if found.query else found.path


async def _signed_in_by_proxy(request: Request, error: Exception) -> Response:
    if not isinstance(error, SignedInByProxy):
        raise TypeError("not a sign-in") from error
    query = f"?{request.url.query}" if request.url.query else ""
    is_page = request.method in {"GET", "HEAD"}
    target = f"{request.url.path}{query}" if is_page else f"{request.scope.get('root_path', '')}/"
    response = RedirectResponse(target, _SEE_OTHER)
    cookies.keep(request, response, error.id)
    cookies.probe(response)
    return response


async def _not_ready(request: Request, _: Exception) -> Response:
    reason = (
        "The database has no role for the console. An administrator finds what to do in the "
        "runbook under console_role_missing."
    )
    return problem_page(request, HTTPStatus.SERVICE_UNAVAILABLE, reason)


async def _forbidden(request: Request, error: Exception) -> Response:
    return problem_page(request, HTTPStatus.FORBIDDEN, str(error))


async def _not_found(request: Request, error: Exception) -> Response:
    return problem_page(request, HTTPStatus.NOT_FOUND, str(error))


async def _refused(request: Request, error: Exception) -> Response:
    return problem_page(request, HTTPStatus.BAD_REQUEST, str(error))


async def _invalid(request: Request, _: Exception) -> Response:
    reason = "The address or the form of this page holds a value that it cannot have."
    return problem_page(request, HTTPStatus.BAD_REQUEST, reason)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError("not an HTTP error") from error
    status = HTTPStatus(error.status_code)
    reason = "There is no such page." if status is HTTPStatus.NOT_FOUND else str(error.detail)
    response = problem_page(request, status, reason)
    response.headers.update(error.headers or {})
    return response


async def _database_unavailable(request: Request, error: Exception) -> Response:
    # The message names the host, which a page must not show.
    _log.warning("database_unavailable", reason=str(error))
    reason = "The database is not available. Try again in a few seconds."
    response = problem_page(request, HTTPStatus.SERVICE_UNAVAILABLE, reason)
    response.headers["Retry-After"] = str(math.ceil(RETRY_SECONDS))
    return response


async def _locked(request: Request, error: Exception) -> Response:
    _log.warning("database_locked", reason=str(error))
    reason = "Another process is changing this at the moment. Nothing was changed; try again."
    response = problem_page(request, HTTPStatus.SERVICE_UNAVAILABLE, reason)
    response.headers["Retry-After"] = str(math.ceil(RETRY_SECONDS))
    return response


class PageBoundary:
    """Turns unexpected exceptions into a page; their messages are neither sent nor logged.

    Args:
        app: The inner application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except HTTPException:
            # Of the layers around: the body was too large.
            raise
        except Exception as error:
            if has_begun:
                raise
            _log.error("request_failed", **described(error))
            reason = "Something went wrong here. The log of the server says what."
            response = problem_page(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, reason)
            await response(scope, receive, send)


def handle_errors(app: FastAPI) -> None:
    """Register the handlers of expected errors; ``PageBoundary`` handles unexpected ones."""
    handlers: tuple[tuple[type[Exception], Callable[..., object]], ...] = (
        (SignInNeeded, _sign_in_needed),
        (SignedInByProxy, _signed_in_by_proxy),
        (NotReady, _not_ready),
        (Forbidden, _forbidden),
        (NotFound, _not_found),
        (NotVisible, _not_found),
        (NotAllowed, _forbidden),
        (UserFacingError, _refused),
        (RequestValidationError, _invalid),
        (HTTPException, _http_error),
        (DatabaseUnavailable, _database_unavailable),
        (LockTimeout, _locked),
    )
    for error, handler in handlers:
        app.add_exception_handler(error, handler)  # type: ignore[arg-type]  # each is a coroutine
