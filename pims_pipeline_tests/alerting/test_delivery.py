"""The order of messages, and what an outage, a kill or a second process does to a delivery."""

import pytest
from sqlalchemy import QueuePool

from pims_pipeline.alerting.delivery import Alerting, Delivery, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import DeliveryFailed
from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.alerting.watch import DAGSTER_UI, Recorder, Watch
from pims_pipeline_tests.observability.stand_ins import HANG_UP, Slack
from pims_pipeline_tests.sync.bench import Bench


def test_what_starts_at_several_clinics_at_once_is_one_message(watch: Watch) -> None:
    for slug in ("oak-lane", "elm-row"):
        with transaction(watch.bench.engine) as connection:
            add_clinic(
                connection,
                slug=slug,
                name="Another",
                timezone="Europe/Berlin",
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
    watch.schedule(inbound="*/15 * * * *")
    watch.bench.clock.forward(minutes=45)
    watch.evaluate()

    [message] = watch.recorder.delivered
    assert [entry.clinic for entry in message.entries] == ["elm-row", "maple-street", "oak-lane"]


def test_what_cannot_be_delivered_waits_and_is_delivered_in_order_later(watch: Watch) -> None:
    watch.recorder.trouble = DeliveryFailed("down", retry_after=7)
    watch.schedule(inbound="*/15 * * * *", cases="?")
    assert watch.evaluate() == Delivery(messages=0, trouble="down", retry_after=7)
    watch.bench.clock.forward(minutes=45)
    assert watch.evaluate().messages == 0
    watch.sync()
    watch.recorder.trouble = None
    watch.evaluate()

    assert watch.recorder.events == [
        ("started", "bad_schedule", "cases"),
        ("passed", "overdue", "inbound"),
    ]
    assert watch.evaluate() == Delivery(messages=0)


def test_a_message_is_sent_again_after_a_process_died_right_after_sending_it(watch: Watch) -> None:
    class Killed(BaseException):
        """Caught by no handler of errors."""

    class Dying(Recorder):
        def deliver(self, message: Message) -> None:
            super().deliver(message)
            raise Killed

    watch.bench.clock.forward(minutes=45)
    dying = Watch(watch.bench, Dying())
    with pytest.raises(Killed):
        dying.evaluate()
    assert watch.evaluate() == Delivery(messages=0)
    watch.bench.run("UPDATE alerts SET claimed_until = clock_timestamp()")
    watch.evaluate()

    assert dying.recorder.delivered == watch.recorder.delivered


def test_only_one_process_delivers_at_a_time(watch: Watch) -> None:
    watch.bench.clock.forward(minutes=45)
    inner = Recorder()

    class Nested(Recorder):
        def deliver(self, message: Message) -> None:
            super().deliver(message)
            assert deliver(watch.bench.engine, Alerting(notifier=inner)) == Delivery(messages=0)

    outer = Watch(watch.bench, Nested())
    outer.evaluate()

    assert [message.kind for message in outer.recorder.delivered] == ["overdue"]
    assert inner.delivered == []


class Watching(Recorder):
    """Notes what the database has open during a delivery."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.borrowed: list[int] = []
        self.in_transaction: list[int] = []

    def deliver(self, message: Message) -> None:
        pool = self.bench.engine.pool
        assert isinstance(pool, QueuePool)
        self.borrowed.append(pool.checkedout())
        [row] = self.bench.rows(
            "SELECT count(*) AS others FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        )
        self.in_transaction.append(row.others)
        super().deliver(message)


@pytest.mark.parametrize("trouble", [None, DeliveryFailed("Slack did not accept the message")])
def test_no_transaction_is_open_during_a_delivery(
    watch: Watch, trouble: DeliveryFailed | None
) -> None:
    watch.bench.clock.forward(minutes=45)
    watching = Watching(watch.bench)
    watching.trouble = trouble

    Watch(watch.bench, watching).evaluate()

    assert (watching.borrowed, watching.in_transaction) == ([0], [0])


def test_a_delivery_ends_when_its_time_is_up(watch: Watch) -> None:
    watch.bench.clock.forward(minutes=45)
    evaluate(watch.bench.engine, watch.bench.clock())

    hurried = Alerting(notifier=watch.recorder, seconds=0)

    assert deliver(watch.bench.engine, hurried) == Delivery(messages=0)
    assert watch.recorder.delivered == []


def test_slack_gets_every_message_once_and_in_order_after_an_outage(
    watch: Watch, slack: Slack
) -> None:
    notifier = SlackNotifier(
        slack.token, slack.channel, base_url=f"{slack.address}api/", wait=lambda _: None
    )
    alerting = Alerting(notifier=notifier, dagster_ui_url=DAGSTER_UI)
    engine, clock = watch.bench.engine, watch.bench.clock
    watch.schedule(inbound="*/15 * * * *", cases="?")
    slack.faults.extend([HANG_UP, slack.rate_limited(90), slack.rate_limited(1)])

    evaluate(engine, clock())
    first = deliver(engine, alerting)
    clock.forward(minutes=45)
    evaluate(engine, clock())
    second = deliver(engine, alerting)
    third = deliver(engine, alerting)

    assert first == Delivery(messages=0, trouble="Slack cannot be reached (RemoteDisconnected)")
    assert second == Delivery(
        messages=0, trouble="Slack's rate limit asks to wait 90 s", retry_after=90
    )
    assert third == Delivery(messages=2)
    assert slack.texts == [
        ":red_circle: bad_schedule, cases: maple-street",
        ":red_circle: overdue, inbound: maple-street",
    ]
    assert deliver(engine, alerting) == Delivery(messages=0)
