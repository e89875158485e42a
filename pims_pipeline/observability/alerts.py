"""Alert messages, the interface of a notifier, and the notifier that writes to the log.

A notifier delivers one message, or raises. When a message is due, its content and its retries
belong to the caller. A message holds only ids, counts and times. Slack belongs in ``slack``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from pims_pipeline.observability.logging import get_logger

AlertEvent = Literal["started", "ended", "passed"]
"""``passed``: the alert started and ended before its start was delivered."""

_TITLE_PREFIXES: Mapping[AlertEvent, str] = MappingProxyType(
    {"started": "", "ended": "over: ", "passed": "was, and is over: "}
)
log = get_logger(__name__)


class DeliveryFailed(Exception):
    """A message was not delivered. The text says why, without the service's own words.

    Attributes:
        retry_after: Seconds that the service asks to wait; None when it does not ask.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One alert of a message.

    Attributes:
        clinic: The clinic's slug.
        details: Ids, counts and times.
        links: Web addresses, by the text of the link.
        command: The command that helps, as an operator types it.
    """

    alert_id: str
    clinic: str
    details: Mapping[str, str | int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Alerts of one kind and phase with the same event.

    Attributes:
        kind: The name of the kind; the runbook has a section for each.
        phase: The phase, if the alerts are about one.
        meaning: What is wrong, in one sentence.
    """

    event: AlertEvent
    kind: str
    phase: str | None
    meaning: str
    entries: Sequence[Entry]

    @property
    def title(self) -> str:
        """The kind, the phase and the clinics, in one line."""
        what = f"{self.kind}, {self.phase}" if self.phase else self.kind
        clinics = list(dict.fromkeys(entry.clinic for entry in self.entries))
        who = clinics[0] if len(clinics) == 1 else f"{len(clinics)} clinics"
        times = f" ({len(self.entries)})" if len(self.entries) > len(clinics) else ""
        return f"{_TITLE_PREFIXES[self.event]}{what}: {who}{times}"


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
