"""A clinic with a webhook, its receiver, and a worker that delivers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.webhooks.endpoints import Webhook, webhook_by_id
from pims_pipeline.webhooks import management
from pims_pipeline.webhooks.delivery import Delivered, Webhooks, deliver_due
from pims_pipeline.webhooks.sending import Sender
from pims_pipeline_tests.store.queries.test_changes import audit_of, write
from pims_pipeline_tests.webhooks.receiver import Receiver, running_receiver

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass
class Hook:
    """A clinic's webhook."""

    engine: Engine
    vault: Vault
    clinic: Clinic
    receiver: Receiver
    id: UUID
    secret: str
    seconds: float = 10.0

    def change(self, *case_ids: UUID) -> None:
        """Change cases, in one transaction."""
        audit = audit_of(self.engine, self.clinic)
        with transaction(self.engine) as connection:
            write(connection, self.clinic, audit, case_ids)

    def deliver(self, sender: Sender | None = None) -> Delivered:
        """Deliver what is due."""
        settings = Webhooks(open_vault=lambda: self.vault, allowed=LOOPBACK)
        with sender or Sender(LOOPBACK, seconds=self.seconds) as sending:
            return deliver_due(self.engine, settings, sending)

    def pass_time(self, time: timedelta) -> None:
        """Move everything that the outbox remembers into the past."""
        moved = {
            "webhooks": ("retry_at", "failing_since", "delivered_at", "disabled_at"),
            "webhook_deliveries": ("due_at", "failed_since", "claimed_until"),
        }
        with transaction(self.engine) as connection:
            for table, columns in moved.items():
                changes = ", ".join(f"{each} = {each} - :time" for each in columns)
                connection.execute(text(f"UPDATE {table} SET {changes}"), {"time": time})  # noqa: S608 - fixed names

    @property
    def state(self) -> Webhook:
        """As it is stored."""
        with transaction(self.engine) as connection:
            return webhook_by_id(connection, self.id)

    def waiting(self) -> Sequence[int]:
        """The numbers of the changes that are not delivered."""
        with transaction(self.engine) as connection:
            rows = connection.scalars(text("SELECT seq FROM webhook_deliveries ORDER BY seq"))
            return list(rows)


def hook_at(engine: Engine, vault: Vault, clinic: Clinic, receiver: Receiver) -> Hook:
    """Register a webhook at a receiver."""
    webhook, secret = management.add(engine, vault, clinic.slug, receiver.url, allowed=LOOPBACK)
    return Hook(engine, vault, clinic, receiver, webhook.id, secret)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that accepts everything."""
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def hook(engine: Engine, vault: Vault, clinic: Clinic, receiver: Receiver) -> Hook:
    """A webhook of the clinic."""
    return hook_at(engine, vault, clinic, receiver)


def cases(count: int) -> list[UUID]:
    """Ids of that many cases."""
    return [uuid4() for _ in range(count)]
