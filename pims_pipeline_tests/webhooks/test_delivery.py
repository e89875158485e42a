"""What receivers get, whatever they do: everything, in order for each case, at least once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.webhooks.retries import REST_AFTER, WebhookStatus
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.queries.changes import changes_after
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.webhooks.delivery import Delivered
from pims_pipeline.webhooks.management import remove, replay_changes
from pims_pipeline_tests.databases import with_options
from pims_pipeline_tests.store.queries.test_changes import another, audit_of, write
from pims_pipeline_tests.webhooks.conftest import Hook, cases, hook_at
from pims_pipeline_tests.webhooks.receiver import Receiver, large, running_receiver, status

HOUR = timedelta(hours=1)


def test_every_change_is_delivered_signed_and_without_values(hook: Hook) -> None:
    changed = cases(3)
    hook.change(*changed)

    assert hook.deliver() == Delivered(accepted=3, failed=0)
    assert {each.case_id for each in hook.receiver.received} == {str(each) for each in changed}
    for each in hook.receiver.received:
        assert each.verified_by(hook.secret)
        assert each.message["type"] == "case.updated"
        assert each.message["data"]["fields"] == ["client_phone", "patient_name"]
        assert each.message["data"]["clinic"] == hook.clinic.slug
        assert b"Rex" not in each.body
        assert b"555-0100" not in each.body
    assert hook.deliver() == Delivered()
    assert (hook.waiting(), hook.state.last_error) == ([], None)


def test_the_outbox_is_written_with_the_changes_or_not_at_all(hook: Hook) -> None:
    audit = audit_of(hook.engine, hook.clinic)
    with transaction(hook.engine) as connection:
        write(connection, hook.clinic, audit, cases(2))
        assert connection.scalar(text("SELECT count(*) FROM webhook_deliveries")) == 2
        connection.rollback()

    assert hook.waiting() == []


def test_a_case_s_changes_arrive_in_order_and_wait_for_one_that_fails(hook: Hook) -> None:
    slow, other = cases(2)
    for _ in range(3):
        hook.change(slow, other)
    first = min(hook.waiting())
    refuse, accept = status(500), status(200)
    hook.receiver.reply = lambda handler, got: (refuse if got.seq == first else accept)(
        handler, got
    )

    hook.deliver()

    by_case: dict[str, list[int]] = {each.case_id: [] for each in hook.receiver.received}
    for each in hook.receiver.received:
        by_case[each.case_id].append(each.seq)
    assert by_case[str(slow)] == [first]
    assert by_case[str(other)] == sorted(by_case[str(other)])
    assert len(by_case[str(other)]) == 3

    hook.receiver.reply = accept
    hook.receiver.received.clear()
    hook.pass_time(HOUR)
    hook.deliver()
    assert hook.receiver.numbers == [first, first + 2, first + 4]
    assert hook.waiting() == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status(500), "status 500"),
        (status(404), "status 404"),
        (status(302, location="http://127.0.0.1:9/"), "it redirects (302), which is not followed"),
        (status(307, location="/elsewhere"), "it redirects (307), which is not followed"),
        (large, "its response is longer than 64 KiB"),
    ],
)
def test_a_receiver_that_fails_gets_the_change_again(hook: Hook, reply: object, error: str) -> None:
    hook.receiver.reply = reply  # type: ignore[assignment]  # parametrized
    hook.change(*cases(1))

    assert hook.deliver() == Delivered(failed=1)
    assert hook.deliver() == Delivered()
    assert (hook.state.last_error, hook.state.status) == (error, WebhookStatus.ACTIVE)

    hook.receiver.reply = status(200)
    hook.pass_time(HOUR)
    assert hook.deliver() == Delivered(accepted=1)
    first, second = hook.receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert (hook.state.failures, hook.state.last_error) == (0, None)


def test_a_receiver_that_hangs_is_left_after_the_timeout(hook: Hook) -> None:
    hook.seconds = 0.3
    hook.receiver.reply = hook.receiver.hang
    hook.change(*cases(1))

    assert hook.deliver() == Delivered(failed=1)
    assert hook.state.last_error == "timeout"


def test_a_receiver_that_cannot_be_reached_gets_it_later(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with running_receiver() as receiver:
        hook = hook_at(engine, vault, clinic, receiver)
    hook.change(*cases(1))

    assert hook.deliver() == Delivered(failed=1)
    assert hook.state.last_error == "no connection (ConnectError)"


def test_410_disables_at_once_and_loses_nothing(hook: Hook) -> None:
    hook.receiver.reply = status(410)
    [case] = cases(1)
    hook.change(case)
    hook.deliver()
    hook.change(case)

    assert hook.state.status is WebhookStatus.DISABLED
    assert hook.deliver() == Delivered()
    assert len(hook.receiver.received) == 1

    hook.receiver.reply = status(200)
    hook.receiver.received.clear()
    _replay(hook)
    hook.deliver()
    assert len(hook.receiver.numbers) == 2
    assert hook.receiver.numbers == sorted(hook.receiver.numbers)


def test_after_three_days_of_failures_it_is_disabled(hook: Hook) -> None:
    hook.receiver.reply = status(503)
    hook.change(*cases(1))
    attempts = 0
    while hook.state.status is WebhookStatus.ACTIVE:
        hook.deliver()
        hook.pass_time(2 * HOUR)
        attempts += 1
        assert attempts < 100

    assert 36 < attempts <= 41
    assert hook.state.waiting == 1
    hook.pass_time(24 * HOUR)
    assert hook.deliver() == Delivered()


def test_a_receiver_that_fails_often_gets_one_change_at_a_time(hook: Hook) -> None:
    hook.receiver.reply = status(500)
    hook.change(*cases(40))
    hook.deliver()
    burst = len(hook.receiver.received)

    assert REST_AFTER <= burst < 20
    hook.pass_time(timedelta(seconds=10))
    hook.deliver()
    assert len(hook.receiver.received) == burst + 1

    hook.receiver.reply = status(200)
    hook.pass_time(HOUR)
    hook.deliver()
    assert hook.waiting() == []


def test_a_receiver_s_retry_after_is_respected(hook: Hook) -> None:
    hook.receiver.reply = status(429, retry_after="7200")
    hook.change(*cases(1))
    hook.deliver()
    hook.pass_time(HOUR)

    assert hook.deliver() == Delivered()
    hook.pass_time(2 * HOUR)
    assert hook.deliver() == Delivered(failed=1)


def test_a_change_whose_event_is_gone_is_not_sent(hook: Hook) -> None:
    hook.change(*cases(1))
    with transaction(hook.engine) as connection:
        connection.execute(text("ALTER TABLE case_events DISABLE TRIGGER append_only"))
        connection.execute(text("DELETE FROM case_events"))

    hook.deliver()

    assert (hook.receiver.received, hook.waiting()) == ([], [])


def test_each_clinic_s_webhook_gets_its_own_changes(
    hook: Hook, engine: Engine, vault: Vault
) -> None:
    other = another(engine, "elsewhere")
    with running_receiver() as receiver:
        theirs = hook_at(engine, vault, other, receiver)
        hook.change(*(mine := cases(2)))
        theirs.change(*(others := cases(2)))
        hook.deliver()

        assert {each.case_id for each in hook.receiver.received} == {str(each) for each in mine}
        assert {each.case_id for each in receiver.received} == {str(each) for each in others}


def test_two_webhooks_of_a_clinic_get_everything_independently(
    hook: Hook, engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with running_receiver() as second:
        hook_at(engine, vault, clinic, second)
        second.reply = status(500)
        hook.change(*cases(3))
        hook.deliver()

        assert len(hook.receiver.received) == 3
        second.reply, second.received = status(200), []
        hook.pass_time(HOUR)
        hook.deliver()
        assert len(second.received) == 3
        assert len(hook.receiver.received) == 3


def test_what_another_process_delivers_is_left_to_it(hook: Hook) -> None:
    hook.change(*cases(1))
    inner: list[Delivered] = []

    def deliver_at_the_same_time(handler: object, got: object) -> None:
        inner.append(hook.deliver())
        status(200)(handler, got)  # type: ignore[arg-type]  # as the receiver passes them

    hook.receiver.reply = deliver_at_the_same_time

    assert hook.deliver() == Delivered(accepted=1)
    assert inner == [Delivered()]


def test_replaying_sends_the_changes_after_a_number_again(hook: Hook) -> None:
    hook.change(*cases(4))
    hook.deliver()
    with transaction(hook.engine) as connection:
        first, *others = (
            each.seq for each in changes_after(connection, hook.clinic.id, 0, limit=9)
        )
    sent = {each.seq: each.headers["webhook-id"] for each in hook.receiver.received}
    hook.receiver.received.clear()

    assert _replay(hook, after=first) == 3
    hook.deliver()

    assert sorted(hook.receiver.numbers) == others
    assert all(each.headers["webhook-id"] == sent[each.seq] for each in hook.receiver.received)
    assert _replay(hook) == 0


def _replay(hook: Hook, after: int | None = None) -> int:
    _, count = replay_changes(hook.engine, hook.id, after)
    return count


def test_a_receiver_may_be_removed_while_changes_wait(hook: Hook, receiver: Receiver) -> None:
    hook.change(*cases(2))
    remove(hook.engine, hook.id)

    assert hook.deliver() == Delivered()
    assert (receiver.received, hook.waiting()) == ([], [])


def test_several_workers_share_the_work_and_keep_the_order_of_each_case(hook: Hook) -> None:
    changed = cases(6)
    for _ in range(4):
        hook.change(*changed)
    wanted = set(hook.waiting())

    with ThreadPoolExecutor(3) as workers:
        results = [workers.submit(hook.deliver) for _ in range(3)]
        delivered = sum(each.result(60).accepted for each in results)
    delivered += hook.deliver().accepted

    assert delivered == len(wanted)
    assert sorted(hook.receiver.numbers) == sorted(wanted)
    for case in changed:
        numbers = [each.seq for each in hook.receiver.received if each.case_id == str(case)]
        assert numbers == sorted(numbers)


def test_the_service_s_role_fills_the_outbox_and_empties_it(hook: Hook, database_url: str) -> None:
    engine = create_engine(with_options(database_url, "-c role=pims_service"))
    service = replace(hook, engine=engine)
    service.change(*cases(2))

    assert service.deliver() == Delivered(accepted=2)
    assert service.waiting() == []
    engine.dispose()


def test_a_pool_of_one_connection_is_enough(hook: Hook, database_url: str) -> None:
    engine = create_engine(database_url, pool_size=1)
    hook.change(*cases(12))

    assert replace(hook, engine=engine).deliver() == Delivered(accepted=12)
    engine.dispose()
