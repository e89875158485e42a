"""Receivers, workers, syncs and operators at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from sqlalchemy import Connection, Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.webhooks.endpoints import remove_webhook, replay, webhook_by_id
from pims_pipeline.store.webhooks.outbox import LARGEST_SHARE, claim_due, is_still_claimed
from pims_pipeline.webhooks import management
from pims_pipeline.webhooks.delivery import Delivered
from pims_pipeline.webhooks.sending import Sender
from pims_pipeline_tests.store.queries.test_changes import another, audit_of, until, write
from pims_pipeline_tests.webhooks.conftest import LOOPBACK, Hook, cases, hook_at
from pims_pipeline_tests.webhooks.receiver import Received, running_receiver, status


def test_slow_receivers_delay_no_other_clinic(hook: Hook, engine: Engine, vault: Vault) -> None:
    """The slow one responds only when the other has got everything, one change after another."""
    got_all = threading.Event()
    with running_receiver() as quick:
        theirs = hook_at(engine, vault, another(engine, "elsewhere"), quick)

        def slow(handler: BaseHTTPRequestHandler, got: Received) -> None:
            status(200 if got_all.wait(9) else 500)(handler, got)

        def note(handler: BaseHTTPRequestHandler, got: Received) -> None:
            if len(quick.received) == 3:
                got_all.set()
            status(200)(handler, got)

        hook.receiver.reply, quick.reply = slow, note
        hook.change(*cases(30))
        [case] = cases(1)
        for _ in range(3):
            theirs.change(case)

        assert hook.deliver() == Delivered(accepted=33)


def test_a_delivery_that_is_stopped_ends_at_once_and_loses_nothing(hook: Hook) -> None:
    stop = StopSignal()
    hook.receiver.reply = hook.receiver.hang
    hook.change(*cases(20))
    with ThreadPoolExecutor(1) as threads:
        delivering = threads.submit(hook.deliver, Sender(LOOPBACK, stop, seconds=60))
        until(lambda: len(hook.receiver.received) == LARGEST_SHARE)
        stop.stop()
        assert delivering.result(30) == Delivered()

    hook.receiver.reply = status(200)
    assert hook.deliver() == Delivered(accepted=20)


def test_a_change_that_cannot_be_sent_stops_no_other(hook: Hook, engine: Engine) -> None:
    hook.change(*cases(3))
    odd = min(hook.waiting())
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE case_events DROP CONSTRAINT ck_case_events_kind"))
        connection.execute(text("ALTER TABLE case_events DISABLE TRIGGER append_only"))
        connection.execute(text("UPDATE case_events SET kind = 'odd' WHERE seq = :n"), {"n": odd})

    assert hook.deliver() == Delivered(accepted=2, failed=1)
    assert hook.waiting() == [odd]


def test_a_change_is_sent_only_while_it_is_claimed(hook: Hook, engine: Engine) -> None:
    hook.change(*cases(3))
    with transaction(engine) as connection:
        one, two, _ = claim_due(connection, 9, {})
    assert _may_be_sent(engine, one)

    hook.pass_time(timedelta(seconds=50))
    assert not _may_be_sent(engine, one)

    hook.pass_time(timedelta(seconds=20))
    with transaction(engine) as connection:
        again = next(each for each in claim_due(connection, 9, {}) if each.seq == two.seq)
    assert (_may_be_sent(engine, again), _may_be_sent(engine, two)) == (True, False)

    management.remove(engine, hook.id)
    assert not _may_be_sent(engine, again)


def _may_be_sent(engine: Engine, claim: object) -> bool:
    with transaction(engine) as connection:
        return is_still_claimed(connection, claim)  # type: ignore[arg-type]  # a claim


def test_a_sync_that_writes_while_a_webhook_is_removed_does_not_fail(
    hook: Hook, engine: Engine
) -> None:
    with ThreadPoolExecutor(1) as threads:
        with transaction(engine) as connection:
            remove_webhook(connection, webhook_by_id(connection, hook.id))
            writing = threads.submit(hook.change, *cases(1))
            until(lambda: writing.done() or _waits(connection))
        writing.result(30)

    assert hook.waiting() == []


def test_a_webhook_gets_each_change_that_is_committed_after_it_was_added(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    audit = audit_of(engine, clinic)
    with running_receiver() as receiver, ThreadPoolExecutor(1) as threads:
        with transaction(engine) as connection:
            write(connection, clinic, audit, cases(1))
            adding = threads.submit(hook_at, engine, vault, clinic, receiver)
            until(lambda: adding.done() or _waits(connection))
            is_added_before_the_commit = adding.done()
        added = adding.result(30)

    assert not is_added_before_the_commit
    assert added.state.waiting == 0


Work = Callable[[Connection, Hook], object]


@pytest.mark.parametrize(
    "work",
    [
        lambda connection, hook: remove_webhook(connection, webhook_by_id(connection, hook.id)),
        lambda connection, hook: replay(connection, webhook_by_id(connection, hook.id), 0),
    ],
    ids=["remove", "replay"],
)
def test_operators_and_workers_lock_in_the_same_order(
    hook: Hook, engine: Engine, work: Work
) -> None:
    """A worker locks a delivery, then its webhook; the other way round is a deadlock."""
    hook.change(*cases(1))

    def operate() -> None:
        with transaction(engine) as connection:
            work(connection, hook)

    with ThreadPoolExecutor(1) as threads:
        with transaction(engine) as worker:
            worker.execute(text("UPDATE webhook_deliveries SET attempts = 1"))
            operating = threads.submit(operate)
            until(lambda: _waits(worker))
            worker.execute(text("SELECT FROM webhooks FOR UPDATE NOWAIT"))
        operating.result(30)


def _waits(connection: Connection) -> bool:
    """Whether another session waits for a lock."""
    return bool(connection.scalar(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")))
