"""What people are told of alerts, and how where nothing better is set up: in the log.

A notifier takes one message at a time and either has taken it or says that it has not;
when a message is due, what it is about, and its trying again later, are the caller's. A
message names ids, counts and moments alone: the caller gives nothing else. Slack has a
module of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from pims_pipeline.observability.logging import get_logger

AlertEvent = Literal["started", "ended", "passed"]
"""``passed``: it started and ended before anybody could be told."""

_IN_A_TITLE: Mapping[AlertEvent, str] = MappingProxyType(
    {"started": "", "ended": "over: ", "passed": "was, and is over: "}
)
log = get_logger(__name__)


class DeliveryFailed(Exception):
    """A message was not taken. Says why, without the service's own words.

    Attributes:
        retry_after: Seconds for which the service wants to be left alone; None when it said
            nothing of the kind.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One alert of a message.

    Attributes:
        clinic: The clinic's slug.
        details: Ids, counts and moments.
        links: Addresses of pages, by what to call them.
        command: What helps, as it is typed.
    """

    alert_id: str
    clinic: str
    details: Mapping[str, str | int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Alerts of the same kind about the same phase, that started, ended or passed.

    Attributes:
        kind: The kind's name, by which the runbook is keyed.
        phase: Which phase they are about, if they are about one.
        meaning: What is wrong, in one sentence.
    """

    event: AlertEvent
    kind: str
    phase: str | None
    meaning: str
    entries: Sequence[Entry]

    @property
    def title(self) -> str:
        """The kind, the phase, and whom it is about, in one line."""
        what = f"{self.kind}, {self.phase}" if self.phase else self.kind
        clinics = list(dict.fromkeys(entry.clinic for entry in self.entries))
        who = clinics[0] if len(clinics) == 1 else f"{len(clinics)} clinics"
        times = f" ({len(self.entries)})" if len(self.entries) > len(clinics) else ""
        return f"{_IN_A_TITLE[self.event]}{what}: {who}{times}"


class Notifier(Protocol):
    """Tells people."""

    def deliver(self, message: Message) -> None:
        """Have the message taken.

        Raises:
            DeliveryFailed: If it was not, so that it has to be told again.
        """


class LogNotifier:
    """Writes a log line per alert; they are taken always."""

    def deliver(self, message: Message) -> None:
        """One warning per alert that started, one line of information per other."""
        for entry in message.entries:
            fields = {"kind": message.kind, "clinic": entry.clinic, **entry.details}
            if message.phase:
                fields["phase"] = message.phase
            fields["alert_id"] = entry.alert_id
            if message.event == "started":
                log.warning("alert_started", **fields, help=entry.command)
            else:
                log.info("alert_ended", **fields, told_before=message.event == "ended")
