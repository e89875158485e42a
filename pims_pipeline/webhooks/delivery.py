"""Works through the outbox: claims what is due, sends it, records how it ended.

At least once, and in order for each case: ``store.webhooks.outbox`` says how. No transaction is
open while a request is sent.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.webhooks.receivers import Network
from pims_pipeline.domain.webhooks.retries import REST_AFTER, pause_after, wanted_pause
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.stop_signal import RunStopped
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.changes import Change, changes_after
from pims_pipeline.store.secrets.vault import Undecryptable, Vault
from pims_pipeline.store.webhooks.endpoints import UnknownWebhook, secrets_of
from pims_pipeline.store.webhooks.outbox import (
    Claim,
    NotAccepted,
    claim_due,
    disable,
    is_still_claimed,
    note_delivered,
    note_failed,
    release,
)
from pims_pipeline.store.webhooks.signing_secrets import SigningSecret
from pims_pipeline.webhooks.messages import change_message, message_id, signed
from pims_pipeline.webhooks.sending import Response, Sender

AT_ONCE = 64
"""Requests at a time, in threads that mostly wait: several slow receivers leave some free."""
_TOGETHER_SECONDS = 0.02
"""How long a free thread waits for others, so that one statement claims changes for all of them."""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """How changes are delivered.

    Attributes:
        open_vault: Opens the vault that decrypts signing secrets; called if there is something to
            send.
        allowed: Networks that may be called although they are not public.
        seconds: How long one delivery may begin requests; the last ones may exceed it.
    """

    open_vault: Callable[[], Vault]
    allowed: Sequence[Network] = ()
    seconds: float = 20.0


@dataclass(slots=True)
class Delivered:
    """The result of a delivery, in requests."""

    accepted: int = 0
    failed: int = 0

    def count(self, is_accepted: bool | None) -> None:  # noqa: FBT001 - what ``deliver`` returns
        """Count a request; None is none."""
        self.accepted += is_accepted is True
        self.failed += is_accepted is False


@dataclass(slots=True)
class _Courier:
    """Delivers claims; keeps the decrypted secrets for as long as one delivery lasts."""

    engine: Engine
    open_vault: Callable[[], Vault]
    sender: Sender
    clock: Callable[[], datetime]
    vault: Vault | None = None
    secrets: dict[UUID, tuple[SigningSecret, ...]] = field(default_factory=dict)

    def claim(self, limit: int, busy: Mapping[UUID, int]) -> list[Claim]:
        """Claim changes that are due, and decrypt what they are signed with."""
        with transaction(self.engine) as connection:
            claims = claim_due(connection, limit, busy)
        self._open_secrets(each.webhook_id for each in claims)
        return claims

    def _open_secrets(self, webhook_ids: Iterable[UUID]) -> None:
        """Decrypt the secrets of these webhooks, unless that was done."""
        for webhook_id in {*webhook_ids} - self.secrets.keys():
            self.vault = self.vault or self.open_vault()
            with transaction(self.engine) as connection:
                try:
                    found = secrets_of(connection, self.vault, webhook_id, purpose="signing")
                except (Undecryptable, UnknownWebhook):
                    # It counts as a failure of the receiver; the runbook says what to do.
                    found = ()
            self.secrets[webhook_id] = found

    def deliver(self, claim: Claim) -> bool | None:
        """Send a change, and record the end; return whether it was accepted, None if not sent."""
        try:
            with transaction(self.engine) as connection:
                if not is_still_claimed(connection, claim):
                    return None
                change = _change(connection, claim)
                if change is None:
                    # Its event was removed since.
                    note_delivered(connection, claim)
                    return True
            response = self._sent(claim, change)
        except ValueError as error:
            # One change that cannot be read or written as a message must not stop the others.
            response = Response(f"its message cannot be built ({type(error).__name__})")
        except RunStopped:
            # It may have arrived; it is sent again.
            with transaction(self.engine) as connection:
                release(connection, [claim])
            return None
        with transaction(self.engine) as connection:
            _record(connection, claim, response)
        return response.error is None

    def _sent(self, claim: Claim, change: Change) -> Response:
        secrets = self.secrets[claim.webhook_id]
        if not secrets:
            return Response("its secret cannot be decrypted")
        body = change_message(change, claim.clinic)
        id_ = message_id(claim.webhook_id, str(claim.seq))
        return self.sender.send(claim.url, signed(body, id_, secrets, self.clock()))


def deliver_due(
    engine: Engine,
    webhooks: Webhooks,
    sender: Sender,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Delivered:
    """Deliver what is due, until nothing is, the time is over or the sender is stopped.

    Several processes may.

    Args:
        engine: The database of cases.
        webhooks: How to deliver.
        sender: Sends the requests.
        clock: The present time, for signatures.
    """
    done, began = Delivered(), monotonic()
    courier = _Courier(engine, webhooks.open_vault, sender, clock)
    sending: dict[Future[bool | None], UUID] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as threads:
        while True:
            is_over = sender.is_stopped or monotonic() - began >= webhooks.seconds
            if len(sending) < AT_ONCE and not is_over:
                for claim in courier.claim(AT_ONCE - len(sending), Counter(sending.values())):
                    sending[threads.submit(courier.deliver, claim)] = claim.webhook_id
            if not sending:
                return done
            for each in _completed(sending):
                del sending[each]
                done.count(each.result())


def _completed(sending: Iterable[Future[bool | None]]) -> set[Future[bool | None]]:
    """Wait until one is completed; return it, and those that are at nearly the same time."""
    all_of_them = set(sending)
    wait(all_of_them, return_when=FIRST_COMPLETED)
    return wait(all_of_them, timeout=_TOGETHER_SECONDS).done


def _change(connection: Connection, claim: Claim) -> Change | None:
    found = changes_after(
        connection, claim.clinic_id, claim.seq - 1, limit=1, values=claim.with_values
    )
    return found[0] if found and found[0].seq == claim.seq else None


def _record(connection: Connection, claim: Claim, response: Response) -> None:
    if response.error is None:
        note_delivered(connection, claim)
        return
    # Neither the address, which may hold a token, nor anything that the receiver said.
    log.warning(
        "webhook_not_delivered",
        webhook_id=str(claim.webhook_id),
        clinic=claim.clinic,
        seq=claim.seq,
        attempts=claim.attempts + 1,
        reason=response.error,
    )
    if response.is_gone:
        disable(connection, claim, response.error)
        return
    note_failed(connection, claim, _failure(claim, response, response.error))


def _failure(claim: Claim, response: Response, error: str) -> NotAccepted:
    chance = random.random()  # noqa: S311 - spreads the load
    asked, is_trial = response.retry_after, claim.failures >= REST_AFTER
    rest = None
    if is_trial:
        rest = pause_after(claim.rests + 1, chance, asked)
    elif asked:
        # A receiver that asks for a pause wants no other message during it.
        rest = wanted_pause(asked)
    return NotAccepted(
        error=error,
        pause=pause_after(claim.attempts + 1, chance, asked),
        rest=rest,
        is_trial=is_trial,
    )
