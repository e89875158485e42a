"""The shapes of a login page: what surrounds the form, and where it is drawn.

The HTML and the script are in ``templates/login``. What sending the form leads to belongs in
``login``, and the pages after a right password in ``login_steps``.
"""

from typing import Literal

from pims_pipeline.simulator.rendering import render

LoginPage = Literal[
    "plain",
    "cookie_banner",
    "cookie_wall",
    "other_forms",
    "inner_page",
    "shadow",
    "two_steps",
    "slow",
    "new_tab",
    "alert",
    "guest",
    "script_error",
    "captcha",
    "other_site",
    "elsewhere",
    "file",
    "basic_auth",
]
"""The shape of the login page."""


def login_page(token: str, error: str | None = None, shape: LoginPage = "plain") -> str:
    """The login page; its form appears only once its script has run."""
    if shape == "other_site":
        return render("login/parked.html", error=None)
    if shape == "inner_page":
        return render("login/in_inner_page.html", error=error)
    return form_page(token, error, shape)


def form_page(token: str, error: str | None, shape: LoginPage) -> str:
    """The page that draws the form itself."""
    return render("login/form.html", token=token, error=error, shape=shape)
