"""What a login that did not work is called, and what people read of it.

Each message says what happened, at which address, and what to do. None carries what was
typed, or words of the vendor's page but those of ``page_words``.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pims_pipeline.providers.idexx_neo.login.page_state import Look, PeoplePage
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
_CERTIFICATE = re.compile(r"ERR_CERT_|ERR_SSL_|ERR_BAD_SSL")


@dataclass(frozen=True, slots=True)
class LoginFailures:
    """The errors of a login at ``base_url``. Each method gives one, to be raised."""

    base_url: str

    def transient(self, how: str) -> TransientError:
        """A fault that may go by itself."""
        return TransientError(f"The login page of {self.base_url} {how}. Try again later.")

    def for_people(self, page: PeoplePage) -> HumanNeeded:
        """A page that only a person can answer."""
        return HumanNeeded(f"The login at {self.base_url} {page.asks}. {page.remedy}, {_CHECK}.")

    def without_company_id(self) -> HumanNeeded:
        """The page asks for what the credentials lack."""
        return HumanNeeded(
            f"The login page of {self.base_url} asks for a company id and the stored credentials "
            "have none. Set it with `pims credentials set`."
        )

    def unknown_page(self, look: Look) -> HumanNeeded:
        """What was sent led to a page that nobody has told us about."""
        return HumanNeeded(
            f"The login at {self.base_url} led to a page that is not known, titled "
            f'"{shown_words(look.title)}", and the vendor does not accept the session. Log in '
            f"there in a browser and do what the page asks, {_CHECK}."
        )

    def unknown_message(self, look: Look) -> HumanNeeded:
        """What was sent was answered in words that mean neither refusal nor trouble."""
        return HumanNeeded(
            f"The login at {self.base_url} was answered with a message that is not known, on a "
            f'page titled "{shown_words(look.title)}". Log in there in a browser and do what it '
            f"asks, {_CHECK}."
        )

    def no_form(self, look: Look, *, script_failed: bool) -> ContractViolation:
        """There is nothing to fill in."""
        why = ", and its own script failed" if script_failed else ""
        return ContractViolation(
            f"The login page of {self.base_url} opened but showed no form with user name, password "
            f'and submit button (title: "{shown_words(look.title)}"{why}). See the screenshot and '
            "check the clinic's base URL; the vendor may be under maintenance or have changed its "
            "login."
        )

    def not_filled(self, how: str) -> ContractViolation:
        """The form cannot be used."""
        return ContractViolation(
            f"The login page of {self.base_url} could not be filled in: {how}. See the "
            "screenshot; the vendor may have changed its login."
        )

    def not_sent(self, instead: str) -> ContractViolation:
        """The form was filled in, and kept what it was given."""
        return ContractViolation(
            f"The login form of {self.base_url} was filled in but not sent: {instead}. Nothing is "
            "known about the credentials. See the screenshot; the vendor may have changed its "
            "login."
        )

    def file(self) -> ContractViolation:
        """A download came instead of a page."""
        return ContractViolation(
            f"The login at {self.base_url} led to a file instead of a page. Check the clinic's "
            "base URL; the vendor may have changed its login."
        )

    def elsewhere(self, look: Look) -> ContractViolation:
        """The login page is another site's."""
        return ContractViolation(
            f"The login page of {self.base_url} leads to another site "
            f"({urlsplit(look.url).hostname}), where the credentials are not typed. Check the "
            "clinic's base URL; a login through another service (SSO) is not supported."
        )

    def of_first_page(self, answer: "Response | None") -> PimsError | None:
        """What the status of the login page says is wrong, before anything was sent."""
        if answer is not None and answer.status == 401:  # noqa: PLR2004 - HTTP's word for it
            return self._asks_the_browser()
        return self.of_page(answer)

    def _asks_the_browser(self) -> ContractViolation:
        return ContractViolation(
            f"The login page of {self.base_url} answered 401: it asks the browser itself for a "
            "password, which no clinic's does. Check the clinic's base URL."
        )

    def of_page(self, answer: "Response | None") -> PimsError | None:
        """What a page's status says is wrong; a refused login has a status of its own kind."""
        status = 200 if answer is None else answer.status
        if is_passing(status) or status in _STALE_FORM:
            return self.transient(f"answered {status}")
        if status >= 400 and status not in {401, 422}:  # noqa: PLR2004 - HTTP's own line
            return ContractViolation(
                f"The login page of {self.base_url} answered {status}. Check the clinic's base URL."
            )
        return None

    def of_browser(self, words: str, *, crashed: bool) -> PimsError:
        """What an error of Playwright means; its ``words`` are not repeated."""
        if crashed:
            return self.transient("crashed the browser's page")
        if "Download is starting" in words:
            return self.file()
        kind = re.search(r"net::(ERR_[A-Z0-9_]+)", words)
        if kind is not None:
            return self.unreachable(kind[1])
        return self.transient("stopped answering the browser")

    def unreachable(self, kind: str) -> PimsError:
        """A page did not come; ``kind`` is Chromium's name for why."""
        if kind == "ERR_INVALID_AUTH_CREDENTIALS":
            return self._asks_the_browser()
        if _CERTIFICATE.match(kind):
            return ContractViolation(
                f"The browser does not trust the certificate of {self.base_url} ({kind}), and sent "
                "nothing there. Check the clinic's base URL and this machine's clock; a proxy that "
                "opens encrypted traffic has the same effect."
            )
        return self.transient(f"could not be opened ({kind})")


def is_passing(status: int) -> bool:
    """Whether a response with that status may be another one later."""
    return status >= 500 or status in _PASSING  # noqa: PLR2004 - HTTP's own line
