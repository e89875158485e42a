"""Clinics go wrong and right again; people are told of each once, by words without a person."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from sqlalchemy import QueuePool

from pims_pipeline.alerting.delivery import Alerting, Delivery, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import DeliveryFailed, LogNotifier
from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline.domain.records.appointments import QuarantinedRecord
from pims_pipeline.providers.port import AuthenticationRejected, HumanNeeded, TransientError
from pims_pipeline.store.clinics import add_clinic, deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.observability.stand_ins import HANG_UP, Slack, serving
from pims_pipeline_tests.sync.conftest import DAY, Bench, local

DOWN = TransientError("the vendor is down")
PAGES = "http://127.0.0.1:3000"


@dataclass
class Recorder:
    """Takes every message, unless it is told to take none."""

    taken: list[Message] = field(default_factory=list)
    trouble: DeliveryFailed | None = None

    def deliver(self, message: Message) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.taken.append(message)

    @property
    def events(self) -> list[tuple[str, str, str | None]]:
        return [(each.event, each.kind, each.phase) for each in self.taken]


@dataclass
class Watch:
    """The bench, watched; each phase is off unless a test turns it on."""

    bench: Bench
    recorder: Recorder = field(default_factory=Recorder)
    runs: int = 0

    def schedule(self, **crons: str) -> None:
        """The phases' crons from now on."""
        phases = {"inbound": "off", "cases": "off", "reconciliation": "off", **crons}
        self.bench.run(
            "UPDATE clinic_schedule_configs SET sync_schedules = CAST(:crons AS jsonb)",
            crons=json.dumps(phases),
        )
        self.bench.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")
        self.bench.run("UPDATE clinics SET scheduled_since = :now", now=self.bench.clock.moment)

    def sync(self, times: int = 1) -> None:
        """A run of the calendar, a minute later; failing is allowed."""
        for _ in range(times):
            self.runs += 1
            self.bench.clock.forward(minutes=1)
            with suppress(TransientError, AuthenticationRejected, HumanNeeded):
                self.bench.in_run(f"run-{self.runs}").inbound()

    def look(self) -> Delivery:
        now = self.bench.clock()
        evaluate(self.bench.engine, now)
        assert evaluate(self.bench.engine, now).is_empty
        alerting = Alerting(notifier=self.recorder, dagster_ui_url=PAGES)
        return deliver(self.bench.engine, alerting, clock=self.bench.clock)


@pytest.fixture
def watch(bench: Bench) -> Watch:
    watch = Watch(bench)
    watch.schedule(inbound="*/15 * * * *")
    return watch


def test_a_clinic_that_fails_three_times_is_told_once_and_its_recovery_once(watch: Watch) -> None:
    watch.bench.vendor.fail_next(DOWN, "listing", times=5)
    for _ in range(2):
        watch.sync()
        watch.look()
    assert watch.recorder.taken == []

    for _ in range(3):
        watch.sync()
        watch.look()
    [message] = watch.recorder.taken
    [entry] = message.entries
    assert watch.recorder.events == [("started", "failing", "inbound")]
    assert entry.clinic == "maple-street"
    assert entry.details["run_id"] == "run-3"
    assert entry.details["error_class"] == "TransientError"
    assert entry.links == {"run": f"{PAGES}/runs/run-3"}
    assert entry.command == "pims sync inbound --clinic maple-street"

    watch.sync()
    watch.look()
    watch.look()
    assert watch.recorder.events[1:] == [("ended", "failing", "inbound")]


def test_refused_credentials_are_told_until_they_are_replaced(watch: Watch) -> None:
    vendor, bench = watch.bench.vendor, watch.bench
    given = vendor.credentials
    vendor.credentials = type(given)(username=given.username, password="another one")
    watch.sync(3)
    watch.look()

    assert watch.recorder.events == [("started", "credentials_rejected", None)]
    assert vendor.logins == 1
    assert (
        watch.recorder.taken[0].entries[0].command.startswith("pims credentials set maple-street")
    )

    with transaction(bench.engine) as connection:
        put_credentials(
            connection, bench.context.vault, bench.clinic, vendor.credentials.to_mapping()
        )
    watch.look()
    watch.sync()
    watch.look()
    assert watch.recorder.events[1:] == [("ended", "credentials_rejected", None)]


def test_a_login_that_wants_a_person_is_told(watch: Watch) -> None:
    watch.bench.vendor.fail_next(HumanNeeded("a code is asked for"), "login")
    watch.sync()
    watch.look()

    [entry] = watch.recorder.taken[0].entries
    assert watch.recorder.events == [("started", "human_needed", None)]
    assert entry.command == "pims credentials check maple-street"
    assert entry.links == {"runs": f"{PAGES}/runs?q%5B0%5D=tag%3Apims%2Fclinic.maple-street%3Dyes"}


def test_a_phase_that_missed_two_ticks_is_overdue_until_it_succeeds(watch: Watch) -> None:
    watch.sync()
    watch.bench.clock.forward(minutes=35)
    watch.look()
    assert watch.recorder.taken == []

    watch.bench.clock.forward(minutes=10)
    watch.look()
    assert watch.recorder.events == [("started", "overdue", "inbound")]

    watch.sync()
    watch.look()
    assert watch.recorder.events[1:] == [("ended", "overdue", "inbound")]


def test_a_clinic_that_was_never_synced_is_overdue_from_when_it_was_scheduled(
    watch: Watch,
) -> None:
    watch.look()
    assert watch.recorder.taken == []

    watch.bench.clock.forward(minutes=45)
    watch.look()
    assert watch.recorder.events == [("started", "overdue", "inbound")]


def test_a_schedule_that_cannot_be_read_is_told_once(watch: Watch) -> None:
    watch.schedule(cases="every now and then")
    watch.look()
    watch.bench.clock.forward(days=9)
    watch.look()

    [message] = watch.recorder.taken
    assert watch.recorder.events == [("started", "bad_schedule", "cases")]
    assert message.entries[0].command == 'pims clinics schedule maple-street --cases "CRON"'
    assert "now and then" not in repr(message)

    watch.schedule()
    watch.look()
    assert watch.recorder.events[1:] == [("ended", "bad_schedule", "cases")]


def test_a_hold_is_told_with_its_check_and_over_when_it_is_decided(watch: Watch) -> None:
    bench = watch.bench
    for number in range(20):
        bench.vendor.book(f"v{number}", local(DAY, 8, number))
    bench.in_run("run-1").inbound()
    for number in range(20):
        bench.vendor.delete(f"v{number}")
    bench.in_run("run-2").reconcile()
    (hold,) = bench.rows("SELECT id FROM reconciliation_holds")
    watch.look()

    [message] = watch.recorder.taken
    [entry] = message.entries
    assert (message.event, message.kind) == ("started", "hold")
    assert entry.details["cases_orphaned"] == 20
    assert entry.command == f"pims holds show {hold.id}"
    assert entry.links["check"] == (
        f"{PAGES}/assets/reconciliation?view=checks&checkDetail=deletion_guard"
    )

    bench.run("UPDATE reconciliation_holds SET status = 'rejected'")
    watch.look()
    assert watch.recorder.events[1:] == [("ended", "hold", None)]


def test_dead_letters_found_together_share_a_message_and_a_new_one_is_told_alone(
    watch: Watch,
) -> None:
    def unreadable(key: str) -> QuarantinedRecord:
        return QuarantinedRecord(
            record_key=key,
            pims_id=key,
            business_date=DAY,
            error_class="ValueError",
            error_message="the start is not a time",
        )

    watch.bench.vendor.quarantined += [unreadable("a"), unreadable("b")]
    watch.sync()
    watch.look()
    watch.bench.vendor.quarantined.append(unreadable("c"))
    watch.sync()
    watch.look()
    watch.bench.vendor.quarantined.clear()
    watch.sync()
    watch.look()

    assert watch.recorder.events == [
        ("started", "dead_letter", "inbound"),
        ("started", "dead_letter", "inbound"),
        ("ended", "dead_letter", "inbound"),
    ]
    assert [len(message.entries) for message in watch.recorder.taken] == [2, 1, 3]
    assert watch.recorder.taken[0].entries[0].command.startswith("pims failures show ")


def test_the_alerts_of_a_clinic_that_is_synced_no_more_end(watch: Watch) -> None:
    watch.bench.vendor.fail_next(DOWN, "listing", times=3)
    watch.sync(3)
    watch.look()
    with transaction(watch.bench.engine) as connection:
        deactivate_clinic(connection, "maple-street")
    watch.look()

    assert watch.recorder.events == [
        ("started", "failing", "inbound"),
        ("ended", "failing", "inbound"),
    ]


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
    watch.look()

    [message] = watch.recorder.taken
    assert [entry.clinic for entry in message.entries] == ["elm-row", "maple-street", "oak-lane"]


def test_what_cannot_be_told_waits_and_is_told_in_order_later(watch: Watch) -> None:
    watch.recorder.trouble = DeliveryFailed("down", retry_after=7)
    watch.schedule(inbound="*/15 * * * *", cases="?")
    assert watch.look() == Delivery(messages=0, trouble="down", retry_after=7)
    watch.bench.clock.forward(minutes=45)
    assert watch.look().messages == 0
    watch.sync()
    watch.recorder.trouble = None
    watch.look()

    assert watch.recorder.events == [
        ("started", "bad_schedule", "cases"),
        ("passed", "overdue", "inbound"),
    ]
    assert watch.look() == Delivery(messages=0)


def test_a_process_that_dies_right_after_telling_tells_again(watch: Watch) -> None:
    class Killed(BaseException):
        """No error that anything catches."""

    class Dying(Recorder):
        def deliver(self, message: Message) -> None:
            super().deliver(message)
            raise Killed

    watch.bench.clock.forward(minutes=45)
    dying = Watch(watch.bench, Dying())
    with pytest.raises(Killed):
        dying.look()
    assert watch.look() == Delivery(messages=0)
    watch.bench.run("UPDATE alerts SET claimed_until = clock_timestamp()")
    watch.look()

    assert dying.recorder.taken == watch.recorder.taken


def test_nobody_tells_while_another_process_does(watch: Watch) -> None:
    watch.bench.clock.forward(minutes=45)
    inner = Recorder()

    class Nested(Recorder):
        def deliver(self, message: Message) -> None:
            super().deliver(message)
            assert deliver(watch.bench.engine, Alerting(notifier=inner)) == Delivery(messages=0)

    outer = Watch(watch.bench, Nested())
    outer.look()

    assert [message.kind for message in outer.recorder.taken] == ["overdue"]
    assert inner.taken == []


class Watching(Recorder):
    """Notes what the database has open while a message is on its way."""

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


@pytest.mark.parametrize("trouble", [None, DeliveryFailed("Slack did not take the message")])
def test_no_transaction_is_open_while_a_message_is_on_its_way(
    watch: Watch, trouble: DeliveryFailed | None
) -> None:
    watch.bench.clock.forward(minutes=45)
    watching = Watching(watch.bench)
    watching.trouble = trouble

    Watch(watch.bench, watching).look()

    assert (watching.borrowed, watching.in_transaction) == ([0], [0])


def test_telling_stops_when_its_time_is_over(watch: Watch) -> None:
    watch.bench.clock.forward(minutes=45)
    evaluate(watch.bench.engine, watch.bench.clock())

    hurried = Alerting(notifier=watch.recorder, seconds=0)

    assert deliver(watch.bench.engine, hurried) == Delivery(messages=0)
    assert watch.recorder.taken == []


def test_nothing_is_told_of_a_person(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    bench = watch.bench
    markers = [
        "Rumpelstiltskin",
        "Hush Street Vets",
        "555-0199",
        *bench.vendor.credentials.to_mapping().values(),
    ]
    bench.run("UPDATE clinics SET name = 'Hush Street Vets'")
    bench.vendor.fail_next(RuntimeError("Rumpelstiltskin 555-0199"), "listing", times=3)
    for _ in range(3):
        bench.clock.forward(minutes=1)
        with pytest.raises(RuntimeError):
            bench.in_run(f"broken-{bench.clock.moment}").inbound()
    watch.schedule(inbound="*/15 * * * *", cases="Rumpelstiltskin 555-0199")
    watch.look()
    bench.run("UPDATE pims_credentials SET status = 'invalid'")
    watch.look()
    deliver(bench.engine, Alerting(notifier=LogNotifier()))

    assert {message.kind for message in watch.recorder.taken} == {
        "bad_schedule",
        "credentials_rejected",
        "failing",
    }
    rows = bench.rows("SELECT details::text FROM alerts")
    told = f"{watch.recorder.taken!r} {rows!r} {capsys.readouterr()!r}"
    assert [marker for marker in markers if marker and marker in told] == []


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    stand_in = Slack(token="xoxb-made-up-0123456789")
    with serving(stand_in):
        yield stand_in


def test_slack_hears_all_in_order_after_an_outage_and_nothing_twice(
    watch: Watch, slack: Slack
) -> None:
    notifier = SlackNotifier(
        slack.token, slack.channel, base_url=f"{slack.address}api/", wait=lambda _: None
    )
    alerting = Alerting(notifier=notifier, dagster_ui_url=PAGES)
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
    assert second == Delivery(messages=0, trouble="Slack asks for 90 s of rest", retry_after=90)
    assert third == Delivery(messages=2)
    assert slack.texts == [
        ":red_circle: bad_schedule, cases: maple-street",
        ":red_circle: overdue, inbound: maple-street",
    ]
    assert deliver(engine, alerting) == Delivery(messages=0)
