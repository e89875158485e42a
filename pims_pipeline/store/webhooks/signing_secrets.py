"""The secrets that a webhook's messages are signed with, encrypted at rest.

A webhook has one secret, and for some hours after a rotation the former one too. The envelope is
in the row of the webhook, and bound to it.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert

from pims_pipeline.store.secrets.vault import Envelope, Vault
from pims_pipeline.store.tables.access import credential_access_log
from pims_pipeline.store.tables.webhooks import webhooks

PREFIX = "whsec_"
_BYTES = 32
_LOGGED_AS = "webhook"


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret as receivers write it.

    Attributes:
        text: ``whsec_`` and 32 bytes in base64.
        until: When it ends, aware; None for the present one.
    """

    text: str = field(repr=False)
    until: datetime | None = None


def new_secret() -> SigningSecret:
    """A new random secret."""
    return SigningSecret(PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode())


def sealed(
    vault: Vault, clinic_id: UUID, webhook_id: UUID, found: Sequence[SigningSecret]
) -> Envelope:
    """The secrets of a webhook, encrypted for its row alone."""
    content = [
        {"text": each.text, "until": None if each.until is None else each.until.isoformat()}
        for each in found
    ]
    return vault.encrypt(
        json.dumps(content).encode(),
        table=webhooks.name,
        clinic_id=clinic_id,
        provider_type=str(webhook_id),
    )


def opened(
    connection: Connection,
    vault: Vault,
    envelope: bytes,
    *,
    clinic_id: UUID,
    webhook_id: UUID,
    purpose: str,
) -> tuple[SigningSecret, ...]:
    """Decrypt the secrets of a webhook, and log that it was done; the present one is first.

    Raises:
        Undecryptable: If the row was changed, or its key is gone.
    """
    plaintext = vault.decrypt(
        envelope, table=webhooks.name, clinic_id=clinic_id, provider_type=str(webhook_id)
    )
    connection.execute(
        insert(credential_access_log).values(
            clinic_id=clinic_id, provider_type=_LOGGED_AS, purpose=purpose
        )
    )
    return tuple(
        SigningSecret(
            each["text"],
            None if each["until"] is None else datetime.fromisoformat(each["until"]),
        )
        for each in json.loads(plaintext)
    )
