"""The cookie that keeps a browser signed in.

It holds a random id and nothing else. Scripts cannot read it, other sites cannot send it, and
outside this machine it travels over TLS alone.
"""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from pims_pipeline.domain.console.operators import ABSOLUTE_LIMIT
from pims_pipeline.local_trust.origins import is_loopback, parse_authority

_NAME = "pims_console"
_SECURE_NAME = f"__Host-{_NAME}"
"""With this prefix a browser refuses the cookie unless it is secure and of this host alone."""
_PROBE = f"{_NAME}_probe"
_PROBE_SECONDS = 5
# With strict, a link from the Dagster UI or from Slack would lead to the sign-in page.
_SAME_SITE: Literal["lax"] = "lax"


def is_secure(request: Request) -> bool:
    """Whether the cookie needs TLS: always, except on this machine without it.

    A proxy of this machine may send its own name as ``Host``; it says how the browser came. Anyone
    may send that header, and can make the own cookie only safer with it.
    """
    came_by = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    host = parse_authority(request.headers.get("host", ""))
    name = host.name.removeprefix("[").removesuffix("]") if host else ""
    return "https" in (request.url.scheme, came_by) or not is_loopback(name)


def is_kept(request: Request) -> bool:
    """Whether the browser that sends a form keeps a cookie: one that needs TLS, with TLS alone."""
    return not (is_secure(request) and request.headers.get("origin", "").startswith("http:"))


def cookie_name(request: Request) -> str:
    """The name of the cookie for the address at which the console is used."""
    return _SECURE_NAME if is_secure(request) else _NAME


def sign_in_id(request: Request) -> str | None:
    """The id that the browser keeps; None if it keeps none."""
    return request.cookies.get(cookie_name(request))


def keep(request: Request, response: Response, id_: str) -> None:
    """Let the browser keep the id of a sign-in, in place of a former one."""
    response.set_cookie(
        cookie_name(request),
        id_,
        max_age=int(ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite=_SAME_SITE,
    )


def is_refused(request: Request) -> bool:
    """Whether the browser was given a sign-in a moment ago, and does not send it."""
    return _PROBE in request.cookies and sign_in_id(request) is None


def probe(response: Response) -> None:
    """Let the next request show whether the browser keeps what ``keep`` gave to it."""
    response.set_cookie(
        _PROBE, "1", max_age=_PROBE_SECONDS, path="/", httponly=True, samesite=_SAME_SITE
    )


def forget(request: Request, response: Response) -> None:
    """Let the browser forget the sign-in, and that it got one."""
    response.delete_cookie(_PROBE, path="/", httponly=True, samesite=_SAME_SITE)
    response.delete_cookie(
        cookie_name(request),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite=_SAME_SITE,
    )
