"""Webhooks: the message that a receiver gets, and webhooks in a list."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from pims_pipeline.domain.webhooks.receivers import shown_url
from pims_pipeline.store.queries.changes import Change
from pims_pipeline.store.webhooks.endpoints import Webhook
from pims_pipeline.wire.feed.changes import ChangeOfCase
from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model, Timestamp


class ChangeAtClinic(ChangeOfCase):
    """A change with the slug of its clinic; with values only where a webhook was added so."""

    clinic: str


class Message(Model):
    """The body of a message, in the form of Standard Webhooks."""

    type: Annotated[str, Field(description="`case.` and the kind of the change, or `ping`.")]
    timestamp: Timestamp
    data: ChangeAtClinic | dict[str, str]

    @classmethod
    def of(cls, change: Change, clinic: str) -> Self:
        """Build it from a change, with its values if they were read."""
        facts = ChangeOfCase.of(change).model_dump(by_alias=False)
        return cls(
            type=f"case.{change.kind.value}",
            timestamp=change.occurred_at,
            data=ChangeAtClinic(**facts, clinic=clinic),
        )


class WebhookDocument(Model):
    """A webhook without its secret."""

    id: UUID
    clinic: str
    url: Annotated[str, Field(description="Without its query, which may hold a token.")]
    values: Annotated[bool, Field(description="Whether messages hold values.")]
    status: Literal["active", "disabled"]
    waiting: int
    failures: int
    last_error: str | None
    delivered_at: Timestamp | None
    disabled_at: Timestamp | None
    created_at: Timestamp
    secret: Annotated[str | None, LEFT_OUT_IF_NONE] = None

    @classmethod
    def of(cls, webhook: Webhook, secret: str | None = None) -> Self:
        """Build it from a webhook; with its secret, when that was just made."""
        return cls(
            id=webhook.id,
            clinic=webhook.clinic,
            url=shown_url(webhook.url),
            values=webhook.with_values,
            status=webhook.status.value,
            waiting=webhook.waiting,
            failures=webhook.failures,
            last_error=webhook.last_error,
            delivered_at=webhook.delivered_at,
            disabled_at=webhook.disabled_at,
            created_at=webhook.created_at,
            secret=secret,
        )


class WebhookList(Model):
    """Webhooks, by clinic, oldest first."""

    webhooks: list[WebhookDocument]

    @classmethod
    def of(cls, found: Iterable[Webhook]) -> Self:
        """Build it from stored webhooks."""
        return cls(webhooks=[WebhookDocument.of(each) for each in found])
