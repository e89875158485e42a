"""Which alerts the troubles of a clinic open, what ends them, and what their messages say."""

import pytest

from pims_pipeline.alerting.delivery import Alerting, deliver
from pims_pipeline.alerting.notifiers import LogNotifier
from pims_pipeline.domain.records.appointments import QuarantinedRecord
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import HumanNeeded, TransientError
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.alerting.watch import DAGSTER_UI, Watch
from pims_pipeline_tests.sync.bench import DAY, local

DOWN = TransientError("the vendor is down")


def test_three_failures_in_a_row_open_one_alert_and_the_next_success_ends_it(watch: Watch) -> None:
    watch.bench.vendor.fail_next(DOWN, "listing", times=5)
    for _ in range(2):
        watch.sync()
        watch.evaluate()
    assert watch.recorder.delivered == []

    for _ in range(3):
        watch.sync()
        watch.evaluate()
    [message] = watch.recorder.delivered
    [entry] = message.entries
    assert watch.recorder.events == [("started", "failing", "inbound")]
    assert entry.clinic == "maple-street"
    assert entry.details["run_id"] == "run-3"
    assert entry.details["error_class"] == "TransientError"
    assert entry.links == {"run": f"{DAGSTER_UI}/runs/run-3"}
    assert entry.command == "pims sync inbound --clinic maple-street"

    watch.sync()
    watch.evaluate()
    watch.evaluate()
    assert watch.recorder.events[1:] == [("ended", "failing", "inbound")]


def test_refused_credentials_are_an_alert_until_they_are_replaced(watch: Watch) -> None:
    vendor, bench = watch.bench.vendor, watch.bench
    given = vendor.credentials
    vendor.credentials = neo_credentials(given["username"], "another one")
    watch.sync(3)
    watch.evaluate()

    assert watch.recorder.events == [("started", "credentials_rejected", None)]
    assert vendor.logins == 1
    assert (
        watch.recorder.delivered[0]
        .entries[0]
        .command.startswith("pims credentials set maple-street")
    )

    with transaction(bench.engine) as connection:
        put_credentials(
            connection, bench.context.vault, bench.clinic, vendor.credentials.to_mapping()
        )
    watch.evaluate()
    watch.sync()
    watch.evaluate()
    assert watch.recorder.events[1:] == [("ended", "credentials_rejected", None)]


def test_a_login_that_needs_a_person_is_an_alert(watch: Watch) -> None:
    watch.bench.vendor.fail_next(HumanNeeded("a code is required"), "login")
    watch.sync()
    watch.evaluate()

    [entry] = watch.recorder.delivered[0].entries
    assert watch.recorder.events == [("started", "human_needed", None)]
    assert entry.command == "pims credentials check maple-street"
    assert entry.links == {
        "runs": f"{DAGSTER_UI}/runs?q%5B0%5D=tag%3Apims%2Fclinic.maple-street%3Dyes"
    }


def test_a_phase_that_missed_two_ticks_is_overdue_until_it_succeeds(watch: Watch) -> None:
    watch.sync()
    watch.bench.clock.forward(minutes=35)
    watch.evaluate()
    assert watch.recorder.delivered == []

    watch.bench.clock.forward(minutes=10)
    watch.evaluate()
    assert watch.recorder.events == [("started", "overdue", "inbound")]

    watch.sync()
    watch.evaluate()
    assert watch.recorder.events[1:] == [("ended", "overdue", "inbound")]


def test_a_clinic_that_was_never_synced_is_overdue_from_when_it_was_scheduled(
    watch: Watch,
) -> None:
    watch.evaluate()
    assert watch.recorder.delivered == []

    watch.bench.clock.forward(minutes=45)
    watch.evaluate()
    assert watch.recorder.events == [("started", "overdue", "inbound")]


def test_a_schedule_that_cannot_be_read_is_one_alert(watch: Watch) -> None:
    watch.schedule(cases="every now and then")
    watch.evaluate()
    watch.bench.clock.forward(days=9)
    watch.evaluate()

    [message] = watch.recorder.delivered
    assert watch.recorder.events == [("started", "bad_schedule", "cases")]
    assert message.entries[0].command == 'pims clinics schedule maple-street --cases "CRON"'
    assert "now and then" not in repr(message)

    watch.schedule()
    watch.evaluate()
    assert watch.recorder.events[1:] == [("ended", "bad_schedule", "cases")]


def test_a_hold_is_an_alert_that_links_its_check_and_ends_with_the_decision(watch: Watch) -> None:
    bench = watch.bench
    for number in range(20):
        bench.vendor.book(f"v{number}", local(DAY, 8, number))
    bench.in_run("run-1").inbound()
    for number in range(20):
        bench.vendor.delete(f"v{number}")
    bench.in_run("run-2").reconcile()
    (hold,) = bench.rows("SELECT id FROM reconciliation_holds")
    watch.evaluate()

    [message] = watch.recorder.delivered
    [entry] = message.entries
    assert (message.event, message.kind) == ("started", "hold")
    assert entry.details["cases_orphaned"] == 20
    assert entry.command == f"pims holds show {hold.id}"
    assert entry.links["check"] == (
        f"{DAGSTER_UI}/assets/reconciliation?view=checks&checkDetail=deletion_guard"
    )

    bench.run("UPDATE reconciliation_holds SET status = 'rejected'")
    watch.evaluate()
    assert watch.recorder.events[1:] == [("ended", "hold", None)]


def test_dead_letters_found_together_share_a_message_and_a_new_one_has_its_own(
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
    watch.evaluate()
    watch.bench.vendor.quarantined.append(unreadable("c"))
    watch.sync()
    watch.evaluate()
    watch.bench.vendor.quarantined.clear()
    watch.sync()
    watch.evaluate()

    assert watch.recorder.events == [
        ("started", "dead_letter", "inbound"),
        ("started", "dead_letter", "inbound"),
        ("ended", "dead_letter", "inbound"),
    ]
    assert [len(message.entries) for message in watch.recorder.delivered] == [2, 1, 3]
    assert watch.recorder.delivered[0].entries[0].command.startswith("pims failures show ")


def test_the_alerts_of_a_deactivated_clinic_end(watch: Watch) -> None:
    watch.bench.vendor.fail_next(DOWN, "listing", times=3)
    watch.sync(3)
    watch.evaluate()
    with transaction(watch.bench.engine) as connection:
        deactivate_clinic(connection, "maple-street")
    watch.evaluate()

    assert watch.recorder.events == [
        ("started", "failing", "inbound"),
        ("ended", "failing", "inbound"),
    ]


def test_no_message_holds_personal_data(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
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
    watch.evaluate()
    bench.run("UPDATE pims_credentials SET status = 'invalid'")
    watch.evaluate()
    deliver(bench.engine, Alerting(notifier=LogNotifier()))

    assert {message.kind for message in watch.recorder.delivered} == {
        "bad_schedule",
        "credentials_rejected",
        "failing",
    }
    rows = bench.rows("SELECT details::text FROM alerts")
    output = f"{watch.recorder.delivered!r} {rows!r} {capsys.readouterr()!r}"
    assert [marker for marker in markers if marker and marker in output] == []
