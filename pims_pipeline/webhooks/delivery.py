"""Works through the outbox: claims what is due, sends it, records how it ended.

At least once, and in order for each case: ``store.webhooks.outbox`` says how. No transaction is
open while a request is sent.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.webhooks.receivers import Network
from pims_pipeline.domain.webhooks.retries import REST_AFTER, pause_after
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.changes import Change, changes_after
from pims_pipeline.store.secrets.vault import Undecryptable, Vault
from pims_pipeline.store.webhooks.endpoints import UnknownWebhook, secrets_of
from pims_pipeline.store.webhooks.outbox import (
    Claim,
    claim_due,
    disable,
    note_delivered,
    note_failed,
)
from pims_pipeline.store.webhooks.signing_secrets import SigningSecret
from pims_pipeline.webhooks.messages import change_message, message_id, signed
from pims_pipeline.webhooks.sending import Response, Sender

AT_ONCE = 16
"""Requests at a time, each in a thread."""
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


@dataclass(slots=True)
class _Courier:
    """Delivers claims; keeps the decrypted secrets for as long as one delivery lasts."""

    engine: Engine
    vault: Vault
    sender: Sender
    clock: Callable[[], datetime]
    secrets: dict[UUID, tuple[SigningSecret, ...]] = field(default_factory=dict)

    def open_secrets(self, webhook_ids: Iterable[UUID]) -> None:
        """Decrypt the secrets of these webhooks, unless that was done."""
        for webhook_id in {*webhook_ids} - self.secrets.keys():
            with transaction(self.engine) as connection:
                try:
                    found = secrets_of(connection, self.vault, webhook_id, purpose="signing")
                except (Undecryptable, UnknownWebhook):
                    # It counts as a failure of the receiver; the runbook says what to do.
                    found = ()
            self.secrets[webhook_id] = found

    def deliver(self, claim: Claim) -> bool:
        """Send a change, and record the end; return whether it was accepted."""
        with transaction(self.engine) as connection:
            change = _change(connection, claim)
            if change is None:
                # Its event was removed since.
                note_delivered(connection, claim)
                return True
        response = self._sent(claim, change)
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
    """Deliver what is due, until nothing is or the time is over; several processes may.

    Args:
        engine: The database of cases.
        webhooks: How to deliver.
        sender: Sends the requests.
        clock: The present time, for signatures.
    """
    done, courier, began = Delivered(), None, monotonic()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as threads:
        while monotonic() - began < webhooks.seconds:
            with transaction(engine) as connection:
                claims = claim_due(connection, AT_ONCE)
            if not claims:
                break
            courier = courier or _Courier(engine, webhooks.open_vault(), sender, clock)
            courier.open_secrets(each.webhook_id for each in claims)
            accepted = list(threads.map(courier.deliver, claims))
            done.accepted += sum(accepted)
            done.failed += len(accepted) - sum(accepted)
    return done


def _change(connection: Connection, claim: Claim) -> Change | None:
    found = changes_after(connection, claim.clinic_id, claim.seq - 1, limit=1)
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
    chance = random.random()  # noqa: S311 - spreads the load
    rest = None
    if claim.failures >= REST_AFTER:
        rest = pause_after(claim.rests + 1, chance, response.retry_after)
    pause = pause_after(claim.attempts + 1, chance, response.retry_after)
    note_failed(connection, claim, response.error, pause=pause, rest=rest)
