"""How a message reaches people, and the way where nothing better is set up: the log.

A notifier takes one message at a time and either has taken it or says that it has not; when a
message is due, and its retry, are decided in ``delivery``. Slack has a module of its own. Add
another service here as one more ``Notifier``, and choose it in ``composition.py``.
"""

from typing import Protocol

from pims_pipeline.alerting.messages import Message
from pims_pipeline.observability.logging import get_logger

log = get_logger(__name__)


class NotTold(Exception):
    """A message was not taken. Says why, without the service's own words.

    Attributes:
        retry_after: Seconds for which the service wants to be left alone; None when it said
            nothing of the kind.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class Notifier(Protocol):
    """Tells people."""

    def tell(self, message: Message) -> None:
        """Have the message taken.

        Raises:
            NotTold: If it was not, so that it has to be told again.
        """


class LogNotifier:
    """Writes a log line per alert; they are taken always."""

    def tell(self, message: Message) -> None:
        """One warning per alert that started, one line of information per other."""
        for entry in message.entries:
            fields = {"kind": message.kind, "clinic": entry.clinic, **entry.details}
            if message.phase:
                fields["phase"] = message.phase
            fields["alert_id"] = entry.alert_id
            if message.news == "started":
                log.warning("alert_started", **fields, help=entry.command)
            else:
                log.info("alert_ended", **fields, told_before=message.news == "ended")
