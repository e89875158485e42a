"""Recognizes a login page that the vendor sends in place of JSON. Pure."""

import re
from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import urlsplit

_MAX_SCANNED = 200_000
"""Characters of a page that are read; a login page is far shorter."""
_LOGIN_PATHS = frozenset({"login", "log-in", "signin", "sign-in"})


def is_login_page(page: str) -> bool:
    """Whether the web page ``page`` asks for a password, or draws a form that does.

    Only its markup and scripts count, not its text: a maintenance page may ask users to log in
    later.
    """
    marks = _LoginMarks()
    # A declaration that is none ("<![Bella]>") is an AssertionError to Python's parser.
    with suppress(AssertionError):
        marks.feed(page[:_MAX_SCANNED])
    return marks.found


class _LoginMarks(HTMLParser):
    """Looks for a password field, a form sent to the login, or a script that draws one."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found = False
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: (value or "").strip().lower() for name, value in attrs}
        self._in_script = tag == "script"
        match tag:
            case "input":
                is_password = attributes.get("type") == "password"
                self.found |= is_password or attributes.get("autocomplete") == "current-password"
            case "form":
                self.found |= _leads_to_login(attributes.get("action", ""))
            case "script":
                self.found |= _leads_to_login(attributes.get("src", ""))
            case "link":
                self.found |= attributes.get("rel") == "canonical" and _leads_to_login(
                    attributes.get("href", "")
                )
            case "meta" if attributes.get("http-equiv") == "refresh":
                self.found |= _leads_to_login(attributes.get("content", "").partition("url=")[2])

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and re.search(r"""['"]password['"]""", data):
            self.found = True


def _leads_to_login(address: str) -> bool:
    try:
        path = urlsplit(address.strip("'\" ")).path
    except ValueError:
        return False
    names = {segment.partition(".")[0] for segment in path.lower().split("/")}
    return bool(names & _LOGIN_PATHS)
