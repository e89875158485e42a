"""The interface of a notifier, and the notifier that writes to the log.

A notifier delivers one message, or raises. ``delivery`` decides when a message is due and
when it is retried. Slack has a module of its own. Add another service here as one more
``Notifier``, and choose it in ``composition.py``.
"""

from typing import Protocol

from pims_pipeline.alerting.messages import Message
from pims_pipeline.observability.logging import get_logger

log = get_logger(__name__)


class DeliveryFailed(Exception):
    """A message was not delivered. The text says why, without the service's own words.

    Attributes:
        retry_after: Seconds that the service asks to wait; None when it does not ask.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class Notifier(Protocol):
    """A channel that delivers alert messages."""

    def deliver(self, message: Message) -> None:
        """Deliver the message.

        Raises:
            DeliveryFailed: If it was not delivered; the caller retries.
        """


class LogNotifier:
    """Writes one log line per alert; delivery never fails."""

    def deliver(self, message: Message) -> None:
        """Log a warning for each alert that started, and an info line for each other one."""
        for entry in message.entries:
            fields = {"kind": message.kind, "clinic": entry.clinic, **entry.details}
            if message.phase:
                fields["phase"] = message.phase
            fields["alert_id"] = entry.alert_id
            if message.event == "started":
                log.warning("alert_started", **fields, help=entry.command)
            else:
                log.info("alert_ended", **fields, start_delivered=message.event == "ended")
