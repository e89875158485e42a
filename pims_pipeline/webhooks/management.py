"""What operators do with webhooks: add, list, test, replay, rotate, remove."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Engine

from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.domain.webhooks.receivers import Network, checked_url
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.webhooks.endpoints import (
    Webhook,
    add_webhook,
    list_webhooks,
    remove_webhook,
    replay,
    rotate_secret,
    secrets_of,
    webhook_by_id,
)
from pims_pipeline.webhooks.messages import message_id, ping_message, signed
from pims_pipeline.webhooks.sending import Response, Sender, check_literal_host


def add(
    engine: Engine,
    vault: Vault,
    slug: str,
    url: str,
    *,
    allowed: Sequence[Network],
    with_values: bool = False,
) -> tuple[Webhook, str]:
    """Register a webhook; return it and its secret, which cannot be shown again.

    Args:
        engine: The database of cases.
        vault: Encrypts the secret.
        slug: The clinic.
        url: The receiver's address.
        allowed: Networks that may be called although they are not public; ``http`` is for these.
        with_values: Whether its messages hold what fields had before and after: personal data.

    Raises:
        BadWebhookUrl: If no webhook may have that address.
        UnknownClinic, ClinicDeactivated: If the clinic cannot get one.
        WebhookExists: If it has one at that address.
    """
    address = checked_url(url, plain_allowed=bool(allowed))
    check_literal_host(address, allowed)
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        check_use(clinic, ClinicUse.SYNC)
        webhook_id, secret = add_webhook(
            connection, vault, clinic, address, with_values=with_values
        )
        return webhook_by_id(connection, webhook_id), secret.text


def find(engine: Engine, slug: str | None) -> list[Webhook]:
    """All webhooks, or a clinic's.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic_id = None if slug is None else clinic_by_slug(connection, slug).id
        return list_webhooks(connection, clinic_id)


def test(
    engine: Engine, vault: Vault, sender: Sender, webhook_id: UUID, now: datetime
) -> tuple[Webhook, Response]:
    """Send a test message now, past the outbox; return the webhook and how it ended.

    Raises:
        UnknownWebhook: If there is no such webhook.
        Undecryptable: If its secret cannot be read.
    """
    with transaction(engine) as connection:
        webhook = webhook_by_id(connection, webhook_id)
        secrets = secrets_of(connection, vault, webhook_id, purpose="test")
    body = ping_message(webhook.clinic, now)
    message = signed(body, message_id(webhook_id, f"ping {uuid4()}"), secrets, now)
    return webhook, sender.send(webhook.url, message)


def replay_changes(engine: Engine, webhook_id: UUID, after: int | None) -> tuple[Webhook, int]:
    """See ``store.webhooks.endpoints.replay``; return the webhook as it is now, and the count.

    Raises:
        UnknownWebhook: If there is no such webhook.
    """
    with transaction(engine) as connection:
        count = replay(connection, webhook_by_id(connection, webhook_id), after)
        return webhook_by_id(connection, webhook_id), count


def rotate(
    engine: Engine, vault: Vault, webhook_id: UUID, *, now: datetime, overlap: timedelta
) -> tuple[Webhook, str]:
    """Give a webhook a new secret; return it and the secret, which cannot be shown again.

    Raises:
        UnknownWebhook: If there is no such webhook.
        Undecryptable: If its former secret cannot be read.
    """
    with transaction(engine) as connection:
        webhook = webhook_by_id(connection, webhook_id)
        secret = rotate_secret(connection, vault, webhook, now=now, overlap=overlap)
        return webhook, secret.text


def remove(engine: Engine, webhook_id: UUID) -> Webhook:
    """Remove a webhook, with what is not delivered to it.

    Raises:
        UnknownWebhook: If there is no such webhook.
    """
    with transaction(engine) as connection:
        webhook = webhook_by_id(connection, webhook_id)
        remove_webhook(connection, webhook)
        return webhook
