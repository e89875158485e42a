"""Registered webhooks: adding, listing, rotating secrets, replaying, removing.

What decides which changes a webhook gets holds the clinic's lock, as writers of changes do: each
change is written before or after it. Deliveries are locked before their webhook, as a worker does.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from pims_pipeline.domain.alerts import DisabledWebhook
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.webhooks.retries import WebhookStatus
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.webhooks import webhook_deliveries, webhooks
from pims_pipeline.store.webhooks.signing_secrets import SigningSecret, new_secret, opened, sealed


class UnknownWebhook(UserFacingError):
    """No webhook has that id."""


class WebhookExists(UserFacingError):
    """The clinic has a webhook at that address already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook of a clinic. Times are aware UTC.

    Attributes:
        url: May hold a token of the receiver's: no log line has it.
        with_values: Whether its messages hold what fields had before and after: personal data.
        failures: Changes that it did not accept at first, since the last that it did.
        last_error: Why the last one failed; None after one that did not.
        waiting: Changes that are not delivered yet.
    """

    id: UUID
    clinic_id: UUID
    clinic: str
    url: str = field(repr=False)
    with_values: bool
    status: WebhookStatus
    failures: int
    last_error: str | None
    delivered_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime
    waiting: int


def add_webhook(
    connection: Connection, vault: Vault, clinic: Clinic, url: str, *, with_values: bool
) -> tuple[UUID, SigningSecret]:
    """Register a webhook, which gets all changes from now on; return its id and its secret.

    Args:
        connection: In a transaction.
        vault: Encrypts the secret.
        clinic: Whose changes it gets.
        url: Its address.
        with_values: See ``Webhook``.

    Raises:
        WebhookExists: If the clinic has one at that address.
    """
    # Otherwise a sync that is writing now would commit changes later without a delivery.
    lock_clinic(connection, clinic.id)
    webhook_id, secret = uuid4(), new_secret()
    envelope = sealed(vault, clinic.id, webhook_id, [secret])
    try:
        with connection.begin_nested():
            connection.execute(
                insert(webhooks).values(
                    id=webhook_id,
                    clinic_id=clinic.id,
                    url=url,
                    encrypted_data=envelope.data,
                    key_id=envelope.key_id,
                    with_values=with_values,
                )
            )
    except IntegrityError as error:
        raise WebhookExists(
            f"{clinic.slug} has a webhook at that address; `pims webhooks list` shows it"
        ) from error
    return webhook_id, secret


def list_webhooks(connection: Connection, clinic_id: UUID | None = None) -> list[Webhook]:
    """All webhooks, or a clinic's, by clinic, oldest first."""
    query = _query().order_by(clinics.c.slug, webhooks.c.created_at, webhooks.c.id)
    if clinic_id is not None:
        query = query.where(webhooks.c.clinic_id == clinic_id)
    return [_webhook(row) for row in connection.execute(query)]


def webhook_by_id(connection: Connection, webhook_id: UUID) -> Webhook:
    """The webhook with that id.

    Raises:
        UnknownWebhook: If there is none.
    """
    row = connection.execute(_query().where(webhooks.c.id == webhook_id)).one_or_none()
    if row is None:
        raise UnknownWebhook(
            f"no webhook has the id {webhook_id}; `pims webhooks list` shows the ids"
        )
    return _webhook(row)


def _query() -> Select[Any]:
    waiting = (
        select(func.count())
        .where(webhook_deliveries.c.webhook_id == webhooks.c.id)
        .scalar_subquery()
    )
    return select(webhooks, clinics.c.slug, waiting.label("waiting")).join(
        clinics, clinics.c.id == webhooks.c.clinic_id
    )


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        clinic_id=row.clinic_id,
        clinic=row.slug,
        url=row.url,
        with_values=row.with_values,
        status=WebhookStatus(row.status),
        failures=row.failures,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        waiting=row.waiting,
    )


def rotate_secret(
    connection: Connection, vault: Vault, webhook: Webhook, *, now: datetime, overlap: timedelta
) -> SigningSecret:
    """Give the webhook a new secret; messages are signed with the former one too, for a while.

    Args:
        connection: In a transaction.
        vault: Encrypts the secrets.
        webhook: As it was read.
        now: The present time, aware.
        overlap: How long the former secret still signs.
    """
    secret = new_secret()
    # Two rotations at once: the second replaces the secret of the first.
    connection.execute(
        select(webhooks.c.id).where(webhooks.c.id == webhook.id).with_for_update(key_share=True)
    )
    former, *_ = secrets_of(connection, vault, webhook.id, purpose="rotation")
    kept = [secret]
    if overlap > timedelta():
        kept.append(SigningSecret(former.text, now + overlap))
    envelope = sealed(vault, webhook.clinic_id, webhook.id, kept)
    connection.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook.id)
        .values(encrypted_data=envelope.data, key_id=envelope.key_id)
    )
    return secret


def secrets_of(
    connection: Connection, vault: Vault, webhook_id: UUID, *, purpose: str
) -> tuple[SigningSecret, ...]:
    """The secrets of a webhook, the present one first; logs the decryption.

    Raises:
        UnknownWebhook: If the webhook was removed.
        Undecryptable: If the row was changed, or its key is gone.
    """
    row = connection.execute(
        select(webhooks.c.clinic_id, webhooks.c.encrypted_data).where(webhooks.c.id == webhook_id)
    ).one_or_none()
    if row is None:
        raise UnknownWebhook(f"the webhook {webhook_id} was removed")
    return opened(
        connection,
        vault,
        row.encrypted_data,
        clinic_id=row.clinic_id,
        webhook_id=webhook_id,
        purpose=purpose,
    )


def replay(connection: Connection, webhook: Webhook, after: int | None) -> int:
    """Enable a webhook again, and deliver its clinic's changes again; return how many wait.

    Args:
        connection: In a transaction.
        webhook: As it was read.
        after: The changes after the one with this number; None for those that were not
            delivered, and all after them.
    """
    # So that no writer adds changes in between: each is in the outbox once.
    lock_clinic(connection, webhook.clinic_id)
    # Another session may have removed it in the meantime.
    webhook = webhook_by_id(connection, webhook.id)
    count = connection.execute(
        text(_REPLAY),
        {"id": webhook.id, "clinic_id": webhook.clinic_id, "after": after},
    ).rowcount
    connection.execute(
        text(
            "UPDATE webhooks SET status = 'active', disabled_at = NULL, failures = 0, rests = 0, "
            "failing_since = NULL, retry_at = NULL WHERE id = :id"
        ),
        {"id": webhook.id},
    )
    return count


_REPLAY = """
    INSERT INTO webhook_deliveries (webhook_id, clinic_id, seq, case_id)
    SELECT :id, clinic_id, seq, case_id FROM case_events
    WHERE clinic_id = :clinic_id AND seq > coalesce(
        CAST(:after AS bigint),
        (SELECT min(seq) - 1 FROM webhook_deliveries WHERE webhook_id = :id),
        CAST(:largest AS bigint))
    ON CONFLICT (webhook_id, seq) DO UPDATE
        SET attempts = 0, due_at = now(), failed_since = NULL
""".replace(":largest", str(2**63 - 1))


def remove_webhook(connection: Connection, webhook: Webhook) -> None:
    """Remove a webhook, with what is not delivered to it."""
    # A sync that adds deliveries for a webhook that vanishes would fail.
    lock_clinic(connection, webhook.clinic_id)
    connection.execute(
        delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook.id)
    )
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook.id))


def disabled_webhooks(connection: Connection) -> dict[UUID, list[DisabledWebhook]]:
    """The disabled webhooks of each clinic."""
    found: dict[UUID, list[DisabledWebhook]] = {}
    rows = connection.execute(
        select(webhooks.c.id, webhooks.c.clinic_id, webhooks.c.last_error)
        .where(webhooks.c.status == WebhookStatus.DISABLED)
        .order_by(webhooks.c.disabled_at, webhooks.c.id)
    )
    for row in rows:
        webhook = DisabledWebhook(id=row.id, last_error=row.last_error or "")
        found.setdefault(row.clinic_id, []).append(webhook)
    return found
