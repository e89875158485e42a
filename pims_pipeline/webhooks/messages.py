"""Messages to webhooks, signed as Standard Webhooks describes.

A message holds ids, names of fields and times, and values only where the webhook was added so. A
receiver reads values from the change feed, with a key that may read them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from standardwebhooks import Webhook as Signer

from pims_pipeline.store.queries.changes import Change
from pims_pipeline.store.webhooks.signing_secrets import SigningSecret
from pims_pipeline.wire.feed.webhooks import Message

MOST_BYTES = 64 * 1024
"""Of a body that is sent, and of a response that is read."""


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A request's body and headers.

    Attributes:
        id: The same whenever the change is sent to this webhook, so that a receiver can leave out
            what it has got.
    """

    id: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def change_message(change: Change, clinic: str) -> bytes:
    """The body of a change, in ``MOST_BYTES``: if need be, without values, or names of fields."""
    body = _body(change, clinic)
    if len(body) > MOST_BYTES:
        body = _body(replace(change, values=None), clinic)
    if len(body) > MOST_BYTES:
        body = _body(replace(change, values=None, fields=()), clinic)
    return body


def _body(change: Change, clinic: str) -> bytes:
    return Message.of(change, clinic).model_dump_json().encode()


def ping_message(clinic: str, now: datetime) -> bytes:
    """The body of a test, without any change."""
    return Message(type="ping", timestamp=now, data={"clinic": clinic}).model_dump_json().encode()


def message_id(webhook_id: UUID, about: str) -> str:
    """The id of the message to a webhook about ``about``."""
    return f"msg_{uuid5(webhook_id, about).hex}"


def signed(body: bytes, id_: str, secrets: Sequence[SigningSecret], now: datetime) -> SignedMessage:
    """Sign a message with each secret that has not ended.

    Args:
        body: As it is sent.
        id_: The message's id.
        secrets: Of the webhook, the present one first.
        now: When it is sent, aware; receivers refuse old messages.
    """
    moment = now.astimezone(UTC)
    signatures = [
        Signer(each.text).sign(id_, moment, body.decode())
        for each in secrets
        if each.until is None or moment < each.until
    ]
    headers = {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return SignedMessage(id_, body, headers)
