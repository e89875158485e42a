"""Records what the browser does during a login: pages, requests, responses, dialogs.

It looks for the credentials in what the pages send, to know whether they were sent at all.
``attempt`` and ``verdict`` decide what follows from it.
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus, urlsplit

from pims_pipeline.providers.port import Credentials

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Frame, Page, Request, Response

_BY_FORM = frozenset({"document", "xhr", "fetch"})
_BACKGROUND_AFTER = 3.0
"""Seconds; a script's request that has no response by then is taken for one that waits for
events, such as most pages keep open."""


@dataclass
class LoginWatch:
    """What happened in one browser context, and since the form was sent.

    Attributes:
        has_typed: Whether anything may have been typed.
        sent: Whether a request carried what was typed.
        posted: Whether anything was sent to the page's site since; a script may have encrypted
            what was typed.
        loads: How many pages have loaded.
        crashed: Whether the page's process broke down.
        script_errors: How many uncaught errors the pages' own scripts had.
        dialogs: The messages of ``alert`` and similar dialogs. Each is dismissed.
        document: The last response that was a page.
        response: The response to what was typed.
        network_error: Chromium's name of the error that kept the last page from loading, if any.
    """

    main: "Page"
    has_typed: bool = False
    sent: bool = False
    posted: bool = False
    loads: int = 0
    crashed: bool = False
    script_errors: int = 0
    dialogs: list[str] = field(default_factory=list, repr=False)
    document: "Response | None" = None
    response: "Response | None" = None
    network_error: str | None = None
    _typed: tuple[str, ...] = field(default=(), repr=False)
    _newest: "Page | None" = None
    _waiting: "dict[Request, float]" = field(default_factory=dict, repr=False)
    _carriers: "set[Request]" = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        context = self.main.context
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("requestfinished", self._on_finished)
        context.on("requestfailed", self._on_failed)
        context.on("dialog", self._dismiss)
        context.on("page", self._on_page)
        context.on("weberror", lambda _: self._count_script_error())
        self._follow(self.main)

    def typed(self, credentials: Credentials) -> None:
        """From now on, look for these in what is sent; a popup takes the page's place."""
        self.has_typed = True
        words = (credentials["password"], credentials["username"])
        self._typed = tuple(word for word in words if word)
        self._newest = None

    @property
    def page(self) -> "Page":
        """The page that matters: a tab that the login opened, as long as it is open."""
        newest = self._newest
        if newest is None or newest.is_closed() or urlsplit(newest.url).scheme == "about":
            return self.main
        return newest

    @property
    def is_waiting(self) -> bool:
        """Whether a response is outstanding that may change the page."""
        now = asyncio.get_running_loop().time()
        return any(
            request in self._carriers
            or request.is_navigation_request()
            or now - since < _BACKGROUND_AFTER
            for request, since in self._waiting.items()
        )

    def _follow(self, page: "Page") -> None:
        page.on("crash", lambda _: self._note_crash())
        page.on("domcontentloaded", lambda _: self._note_load())

    def _note_crash(self) -> None:
        self.crashed = True

    def _note_load(self) -> None:
        self.loads += 1

    def _count_script_error(self) -> None:
        self.script_errors += 1

    def _on_page(self, page: "Page") -> None:
        self._follow(page)
        if self._typed:
            self._newest = page

    def _on_request(self, request: "Request") -> None:
        self._waiting[request] = asyncio.get_running_loop().time()
        if self._typed and request.resource_type in _BY_FORM and request.method != "GET":
            self.posted = True
        if self._carries(request):
            self.sent = True
            self._carriers.add(request)

    def _carries(self, request: "Request") -> bool:
        if not self._typed:
            return False
        body = (request.post_data_buffer or b"").decode("utf-8", "replace")
        places = (body, unquote_plus(body), unquote_plus(request.url), unquote(request.url))
        wanted = {*self._typed, *(json.dumps(word)[1:-1] for word in self._typed)}
        if request.method == "GET":
            # A short user name may be in any address; the password is there only if it was sent.
            wanted = {self._typed[0]}
        return any(word in place for word in wanted for place in places)

    def _on_response(self, response: "Response") -> None:
        if response.request in self._carriers:
            self.response = response
        if response.request.is_navigation_request() and _is_main(response.request):
            self.document = response
            self.network_error = None

    def _on_finished(self, request: "Request") -> None:
        self._waiting.pop(request, None)

    def _on_failed(self, request: "Request") -> None:
        self._waiting.pop(request, None)
        kind = re.search(r"net::(ERR_[A-Z0-9_]+)", request.failure or "")
        given_up = kind is None or kind[1] == "ERR_ABORTED"
        if not given_up and request.is_navigation_request() and _is_main(request):
            self.network_error = kind[1] if kind else None

    async def _dismiss(self, dialog: "Dialog") -> None:
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        if dialog.type != "beforeunload":
            self.dialogs.append(dialog.message[:1000])
        try:
            # A page that asks whether to leave is left.
            await (dialog.accept() if dialog.type == "beforeunload" else dialog.dismiss())
        except Error:
            return  # its page is gone


def _is_main(request: "Request") -> bool:
    """Whether the request is for a whole page; so is one whose page is not known yet."""
    from playwright.async_api import Error  # noqa: PLC0415 - see chromium

    try:
        frame: Frame = request.frame
    except Error:
        return True
    return frame.parent_frame is None
