"""The shapes that a login page may have: what stands around the form, and where it is drawn.

The HTML and the script stand in ``templates/login``. What sending the form leads to is
``login``'s, and the pages after a right password are ``login_steps``'s.
"""

from typing import Literal

from pims_pipeline.simulator.vendors.idexx_neo.rendering import render

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
"""What the login page is like before anybody has logged in."""


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
