"""A static login form, as a deployment without company ids serves it."""

from pims_pipeline_tests.providers.odd_server import Response

HTML = "text/html; charset=utf-8"


def form(extra: str = "", user_field: str = "name='username'") -> Response:
    """A login page with a static form, which a deployment without company ids has."""
    body = (
        f"<!doctype html><form method=post action=/login>{extra}<input {user_field}>"
        "<input type=password name=password><button type=submit>Sign in</button></form>"
    )
    return Response(200, body.encode(), HTML)
