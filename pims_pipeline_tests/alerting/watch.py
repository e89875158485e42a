"""A clinic whose alerts are evaluated, and a notifier that records its messages."""

import json
from contextlib import suppress
from dataclasses import dataclass, field

from pims_pipeline.alerting.delivery import Alerting, Delivery, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import DeliveryFailed
from pims_pipeline.providers.port import AuthenticationRejected, HumanNeeded, TransientError
from pims_pipeline_tests.sync.bench import Bench

DAGSTER_UI = "http://127.0.0.1:3000"


@dataclass
class Recorder:
    """Keeps every message, or raises ``trouble`` if a test sets one."""

    delivered: list[Message] = field(default_factory=list)
    trouble: DeliveryFailed | None = None

    def deliver(self, message: Message) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.delivered.append(message)

    @property
    def events(self) -> list[tuple[str, str, str | None]]:
        return [(each.event, each.kind, each.phase) for each in self.delivered]


@dataclass
class Watch:
    """A clinic whose alerts are evaluated; each phase is off unless a test schedules it."""

    bench: Bench
    recorder: Recorder = field(default_factory=Recorder)
    runs: int = 0

    def schedule(self, **crons: str) -> None:
        """Set the cron expressions of the phases."""
        phases = {"inbound": "off", "cases": "off", "reconciliation": "off", **crons}
        self.bench.run(
            "UPDATE clinic_schedule_configs SET sync_schedules = CAST(:crons AS jsonb)",
            crons=json.dumps(phases),
        )
        self.bench.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")
        self.bench.run("UPDATE clinics SET scheduled_since = :now", now=self.bench.clock.moment)

    def sync(self, times: int = 1) -> None:
        """Run the inbound phase a minute later; it may fail."""
        for _ in range(times):
            self.runs += 1
            self.bench.clock.forward(minutes=1)
            with suppress(TransientError, AuthenticationRejected, HumanNeeded):
                self.bench.in_run(f"run-{self.runs}").inbound()

    def evaluate(self) -> Delivery:
        now = self.bench.clock()
        evaluate(self.bench.engine, now)
        assert evaluate(self.bench.engine, now).is_empty
        alerting = Alerting(notifier=self.recorder, dagster_ui_url=DAGSTER_UI)
        return deliver(self.bench.engine, alerting, clock=self.bench.clock)
