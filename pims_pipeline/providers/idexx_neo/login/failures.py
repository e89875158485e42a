"""The errors of a failed login, with their messages.

Each message says what failed, at which address, why, and what to do. None holds what was typed,
or words of the vendor's page other than those of ``page_words``.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pims_pipeline.providers.idexx_neo.login.page_state import HumanPage, PageState
from pims_pipeline.providers.idexx_neo.login.page_words import shown_words
from pims_pipeline.providers.port import (
    ContractViolation,
    HumanNeeded,
    PimsError,
    TransientError,
)

if TYPE_CHECKING:
    from playwright.async_api import Response

_CHECK = "then check the credentials with `pims credentials check`"
_STALE_FORM = frozenset({403, 419})
_PASSING = frozenset({408, 425, 429})
_DOWNLOAD = "Download is starting"
_NETWORK = re.compile(r"net::(ERR_[A-Z0-9_]+)")
_CERTIFICATE = re.compile(r"ERR_CERT_|ERR_SSL_|ERR_BAD_SSL")


@dataclass(frozen=True, slots=True)
class LoginFailures:
    """The errors of a login at ``base_url``. Each method returns one, for the caller to raise."""

    base_url: str

    @property
    def _what(self) -> str:
        return f"Cannot log in at {self.base_url}"

    def transient(self, why: str) -> TransientError:
        """A fault that may go by itself."""
        return TransientError(f"{self._what}: {why}. Try again later.")

    def human_needed(self, page: HumanPage) -> HumanNeeded:
        """A page that only a person can pass."""
        return HumanNeeded(f"{self._what}: the vendor {page.asks}. {page.remedy}, {_CHECK}.")

    def without_company_id(self) -> HumanNeeded:
        """The page asks for a company id that the credentials lack."""
        return HumanNeeded(
            f"{self._what}: the login page asks for a company id, and the stored credentials have "
            "none. Set it with `pims credentials set`."
        )

    def unknown_page(self, state: PageState) -> HumanNeeded:
        """The form led to a page that is not known."""
        return HumanNeeded(
            f"{self._what}: the login led to a page that is not known, titled "
            f'"{shown_words(state.title)}", and the vendor does not accept the session. Log in '
            f"there in a browser and do what the page asks, {_CHECK}."
        )

    def unknown_message(self, state: PageState) -> HumanNeeded:
        """The form led to a message that is neither a known refusal nor a known fault."""
        return HumanNeeded(
            f"{self._what}: the vendor shows a message that is not known, on a page titled "
            f'"{shown_words(state.title)}". Log in there in a browser and do what it asks, '
            f"{_CHECK}."
        )

    def no_form(self, state: PageState, *, script_failed: bool) -> ContractViolation:
        """The login page has no form to fill in."""
        why = ", and its own script failed" if script_failed else ""
        return ContractViolation(
            f"{self._what}: the login page showed no form with user name, password "
            f'and submit button (title: "{shown_words(state.title)}"{why}). See the screenshot and '
            "check the clinic's base URL; the vendor may be under maintenance or have changed its "
            "login."
        )

    def not_filled(self, how: str) -> ContractViolation:
        """The form does not take the credentials."""
        return ContractViolation(
            f"{self._what}: the form could not be filled in, because {how}. See the "
            "screenshot; the vendor may have changed its login."
        )

    def not_sent(self, instead: str) -> ContractViolation:
        """The form was filled in, and its page sent nothing."""
        return ContractViolation(
            f"{self._what}: the form was filled in but not sent, and {instead}. Nothing is known "
            "about the credentials. See the screenshot; the vendor may have changed its login."
        )

    def file(self) -> ContractViolation:
        """The vendor sent a download instead of a page."""
        return ContractViolation(
            f"{self._what}: the vendor sent a file instead of a page. Check the clinic's base URL; "
            "the vendor may have changed its login."
        )

    def elsewhere(self, state: PageState) -> ContractViolation:
        """The login page belongs to another site."""
        return ContractViolation(
            f"{self._what}: the login page leads to another site ({urlsplit(state.url).hostname}), "
            "where the credentials are not typed. Check the clinic's base URL; a login through "
            "another service (SSO) is not supported."
        )

    def of_first_page(self, response: "Response | None") -> PimsError | None:
        """The error that the status of the login page means, before anything was sent."""
        if response is not None and response.status == 401:  # noqa: PLR2004 - HTTP's word for it
            return self._asks_the_browser()
        return self.of_page(response)

    def _asks_the_browser(self) -> ContractViolation:
        return ContractViolation(
            f"{self._what}: the login page responded with status 401 and asks the browser itself "
            "for a password, which no login of this vendor does. Check the clinic's base URL."
        )

    def of_page(self, response: "Response | None") -> PimsError | None:
        """The error that a page's status means; None where it may be a refusal or a page."""
        status = 200 if response is None else response.status
        if is_passing(status) or status in _STALE_FORM:
            return self.transient(f"the vendor responded with status {status}")
        if status >= 400 and status not in {401, 422}:  # noqa: PLR2004 - HTTP's own line
            return ContractViolation(
                f"{self._what}: the login page responded with status {status}. Check the "
                "clinic's base URL."
            )
        return None

    def of_browser(self, words: str, *, crashed: bool) -> PimsError:
        """The meaning of an error of Playwright; its ``words`` are not repeated."""
        if crashed:
            return self.transient("the browser's page crashed")
        if _DOWNLOAD in words:
            return self.file()
        kind = _NETWORK.search(words)
        if kind is not None:
            return self.unreachable(kind[1])
        return self.transient("the browser lost its page")

    @staticmethod
    def is_lost_page(words: str) -> bool:
        """Whether an error of Playwright with these ``words`` says nothing about the vendor."""
        return _DOWNLOAD not in words and _NETWORK.search(words) is None

    def unreachable(self, kind: str) -> PimsError:
        """A page did not load; ``kind`` is Chromium's name of the error."""
        if kind == "ERR_INVALID_AUTH_CREDENTIALS":
            return self._asks_the_browser()
        if _CERTIFICATE.match(kind):
            return ContractViolation(
                f"{self._what}: the browser does not trust the certificate ({kind}), and sent "
                "nothing. Check the clinic's base URL and this machine's clock; a proxy that opens "
                "encrypted traffic has the same effect."
            )
        return self.transient(f"the login page could not be opened ({kind})")


def is_passing(status: int) -> bool:
    """Whether the same request may get another status later."""
    return status >= 500 or status in _PASSING  # noqa: PLR2004 - HTTP's own line
