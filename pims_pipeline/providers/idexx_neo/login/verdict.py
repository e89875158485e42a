"""What the page after the form means: refused, passing, or for a person.

Decisions only, over what ``page_state`` and ``watch`` have noted. Whether a session is
accepted is asked in ``attempt``.
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
    Look,
    known_people_page,
)
from pims_pipeline.providers.idexx_neo.login.watch import LoginWatch


class Refused(Exception):
    """The vendor refused what was sent."""


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before the form was sent: pages loaded, dialogs shown, the page."""

    loads: int
    dialogs: int
    look: Look


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judges the pages of one login."""

    watch: LoginWatch
    failures: LoginFailures

    def judge_network(self) -> None:
        """Raise when a page did not come, or broke down."""
        if self.watch.crashed:
            raise self.failures.transient("crashed the browser's page")
        if self.watch.network_error is not None:
            raise self.failures.unreachable(self.watch.network_error)

    def judge_status(self) -> None:
        """Raise when a status says that what came is no page of a login."""
        failure = self.failures.of_page(self.watch.document)
        answer = self.watch.answer
        # A script may be told of wrong credentials by any status that does not pass.
        if failure is None and answer is not None and is_passing(answer.status):
            failure = self.failures.of_page(answer)
        if failure is not None:
            raise failure

    def has_left(self, look: Look, before: Before) -> bool:
        """Whether something else took the form's place, so that the session may be there."""
        moved = self.watch.loads > before.loads or look.url != before.look.url
        asks_for_new = look.passwords > max(before.look.passwords, 1)
        gone = not look.passwords or asks_for_new
        return gone and (moved or before.look.passwords > 0)

    def judge_message(self, look: Look, before: Before) -> None:
        """Raise when the page says something about what was sent.

        Raises:
            Refused: If it says that it is wrong.
            PimsError: If the account is locked, the password has expired, or it passes.
        """
        message = "\n".join(self.new_messages(look, before))
        beside_the_form = look.passwords or look.on_login_page
        if not message or not (beside_the_form or REFUSED.search(message)):
            return
        if LOCKED.sign.search(message):
            raise self.failures.for_people(LOCKED)
        if HAS_EXPIRED.search(message):
            raise self.failures.for_people(EXPIRED)
        if not self.watch.sent:
            return
        if REFUSED.search(message):
            raise Refused
        if PASSING.search(message):
            raise self.failures.transient("says that it cannot log anybody in just now")
        if DENIED.search(message) or self._is_refusal(look, before):
            raise Refused

    def _is_refusal(self, look: Look, before: Before) -> bool:
        """Whether the form is back, with an error where this vendor puts refusals.

        Its words may be any, but not about something else.
        """
        new = [text for text in look.errors if text not in before.look.errors]
        answered = self.watch.loads > before.loads or self.watch.answer is not None
        return bool(new and look.passwords == 1 and answered and not OTHER.search("\n".join(new)))

    def new_messages(self, look: Look, before: Before) -> list[str]:
        """What the page says since the form was sent."""
        new = [text for text in look.messages if text not in before.look.messages]
        new += self.watch.dialogs[before.dialogs :]
        if not new and self.watch.loads > before.loads:
            new += look.messages
        if not new and look.passwords and self.watch.answer is not None:
            # No message where vendors put them: only words that leave no doubt count.
            found = REFUSED.search(look.text)
            if found is not None and found[0] not in before.look.text:
                new.append(found[0])
        return new

    def judge_page(self, look: Look) -> None:
        """Raise when the page that took the form's place is known."""
        if look.has_puzzle:
            raise self.failures.for_people(CAPTCHA)
        if look.names_maintenance:
            raise self.failures.transient("is under maintenance")
        page = known_people_page(look)
        if page is None and look.passwords > 1:
            page = EXPIRED
        if page is not None:
            raise self.failures.for_people(page)
