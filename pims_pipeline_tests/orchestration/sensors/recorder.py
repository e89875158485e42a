"""A notifier that records messages instead of sending them."""

from dataclasses import dataclass, field

from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import DeliveryFailed


@dataclass
class Recorder:
    """Takes every message; with ``trouble``, it refuses every message."""

    taken: list[Message] = field(default_factory=list)
    trouble: DeliveryFailed | None = None

    def deliver(self, message: Message) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.taken.append(message)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.taken]
