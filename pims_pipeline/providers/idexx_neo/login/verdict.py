"""What the page after the form means: a refusal, a transient fault, or work for a person.

Decisions only, from what ``page_state`` and ``watch`` have recorded. Whether the vendor accepts
the session is checked in ``attempt``.
"""

from dataclasses import dataclass

from pims_pipeline.providers.idexx_neo.login.failures import LoginFailures, is_passing
from pims_pipeline.providers.idexx_neo.login.page_state import (
    CAPTCHA,
    DENIED,
    EXPIRED,
    HAS_EXPIRED,
    LOCKED,
    OTHER,
    PASSING,
    REFUSED,
    PageState,
    known_human_page,
)
from pims_pipeline.providers.idexx_neo.login.watch import LoginWatch


class LoginRefused(Exception):
    """The vendor refused the credentials."""


@dataclass(frozen=True, slots=True)
class BeforeSubmit:
    """The state before the form was sent: pages loaded, dialogs shown, the page."""

    loads: int
    dialogs: int
    state: PageState


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judges the pages of one login."""

    watch: LoginWatch
    failures: LoginFailures

    def judge_network(self) -> None:
        """Raise when a page did not load, or crashed."""
        if self.watch.crashed:
            raise self.failures.transient("the browser's page crashed")
        if self.watch.network_error is not None:
            raise self.failures.unreachable(self.watch.network_error)

    def judge_status(self) -> None:
        """Raise when a status shows that the page does not belong to a login."""
        failure = self.failures.of_page(self.watch.document)
        response = self.watch.response
        # A script may learn of wrong credentials by any status that is not transient.
        if failure is None and response is not None and is_passing(response.status):
            failure = self.failures.of_page(response)
        if failure is not None:
            raise failure

    def has_left(self, state: PageState, before: BeforeSubmit) -> bool:
        """Whether something else replaced the form, so that there may be a session."""
        moved = self.watch.loads > before.loads or state.url != before.state.url
        asks_for_new = state.passwords > max(before.state.passwords, 1)
        gone = not state.passwords or asks_for_new
        return gone and (moved or before.state.passwords > 0)

    def judge_message(self, state: PageState, before: BeforeSubmit) -> None:
        """Raise when the page says something about what was sent.

        Raises:
            LoginRefused: If it says that the credentials are wrong.
            PimsError: If it names a locked account, an expired password, or a transient fault.
        """
        message = "\n".join(self.new_messages(state, before))
        beside_the_form = state.passwords or state.on_login_page
        if not message or not (beside_the_form or REFUSED.search(message)):
            return
        if LOCKED.sign.search(message):
            raise self.failures.human_needed(LOCKED)
        if HAS_EXPIRED.search(message):
            raise self.failures.human_needed(EXPIRED)
        if not self.watch.sent:
            return
        if REFUSED.search(message):
            raise LoginRefused
        if PASSING.search(message):
            raise self.failures.transient("the login page says that no one can log in at present")
        if DENIED.search(message) or self._is_refusal(state, before):
            raise LoginRefused

    def _is_refusal(self, state: PageState, before: BeforeSubmit) -> bool:
        """Whether the form is back, with an error where this vendor puts refusals.

        The error may have any words, unless they are about something else.
        """
        new = [text for text in state.errors if text not in before.state.errors]
        has_response = self.watch.loads > before.loads or self.watch.response is not None
        return bool(
            new and state.passwords == 1 and has_response and not OTHER.search("\n".join(new))
        )

    def new_messages(self, state: PageState, before: BeforeSubmit) -> list[str]:
        """What the page says since the form was sent."""
        new = [text for text in state.messages if text not in before.state.messages]
        new += self.watch.dialogs[before.dialogs :]
        if not new and self.watch.loads > before.loads:
            new += state.messages
        if not new and state.passwords and self.watch.response is not None:
            # No message in the usual places: only unambiguous words count.
            found = REFUSED.search(state.text)
            if found is not None and found[0] not in before.state.text:
                new.append(found[0])
        return new

    def judge_page(self, state: PageState) -> None:
        """Raise when the page that replaced the form is a known one."""
        if state.has_puzzle:
            raise self.failures.human_needed(CAPTCHA)
        if state.names_maintenance:
            raise self.failures.transient("the vendor is under maintenance")
        page = known_human_page(state)
        if page is None and state.passwords > 1:
            page = EXPIRED
        if page is not None:
            raise self.failures.human_needed(page)
