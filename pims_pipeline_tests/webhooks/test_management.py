"""What operators do with webhooks, and what is kept of their secrets."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.webhooks.receivers import BadWebhookUrl
from pims_pipeline.domain.webhooks.retries import pause_after
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.rotation import rotate as rotate_keys
from pims_pipeline.store.secrets.vault import Undecryptable, Vault
from pims_pipeline.store.webhooks.endpoints import UnknownWebhook, WebhookExists, secrets_of
from pims_pipeline.webhooks import management
from pims_pipeline.webhooks.delivery import Delivered
from pims_pipeline.webhooks.messages import signed
from pims_pipeline.webhooks.sending import Sender
from pims_pipeline_tests.webhooks.conftest import LOOPBACK, Hook, cases
from pims_pipeline_tests.webhooks.receiver import status

NOW = datetime(2026, 3, 29, 4, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_secret_is_kept_encrypted_and_bound_to_its_row(hook: Hook) -> None:
    with transaction(hook.engine) as connection:
        [stored] = connection.scalars(text("SELECT encrypted_data FROM webhooks"))
        connection.execute(text("UPDATE webhooks SET clinic_id = clinic_id"))
    assert hook.secret.encode() not in bytes(stored)
    assert hook.secret not in repr(hook.state)

    with transaction(hook.engine) as connection:
        connection.execute(text("UPDATE webhooks SET id = gen_random_uuid()"))
        [moved] = connection.scalars(text("SELECT id FROM webhooks"))
    with transaction(hook.engine) as connection, pytest.raises(Undecryptable):
        secrets_of(connection, hook.vault, moved, purpose="test")


def test_each_decryption_is_logged(hook: Hook) -> None:
    hook.change(*cases(3))
    hook.deliver()

    with transaction(hook.engine) as connection:
        rows = connection.execute(
            text("SELECT provider_type, purpose FROM credential_access_log")
        ).all()
    assert [tuple(each) for each in rows] == [("webhook", "signing")]


def test_a_rotated_secret_signs_and_the_former_one_too_for_a_while(hook: Hook) -> None:
    former = hook.secret
    now = datetime.now(UTC)
    _, present = management.rotate(hook.engine, hook.vault, hook.id, now=now, overlap=DAY)
    hook.change(*cases(1))
    hook.deliver()

    [got] = hook.receiver.received
    assert present != former
    assert got.verified_by(present)
    assert got.verified_by(former)
    with transaction(hook.engine) as connection:
        found = secrets_of(connection, hook.vault, hook.id, purpose="test")
    later = signed(b"{}", "msg_1", found, now + DAY).headers["webhook-signature"]
    assert len(later.split()) == 1


def test_without_overlap_the_former_secret_ends_at_once(hook: Hook) -> None:
    management.rotate(hook.engine, hook.vault, hook.id, now=datetime.now(UTC), overlap=timedelta())
    hook.change(*cases(1))
    hook.deliver()

    [got] = hook.receiver.received
    assert len(got.headers["webhook-signature"].split()) == 1


def test_a_new_encryption_key_covers_the_secrets_of_webhooks(hook: Hook) -> None:
    old, new = bytes(range(32)), bytes(range(1, 33))
    with transaction(hook.engine) as connection:
        connection.execute(text("DELETE FROM webhooks"))
    webhook, secret = management.add(
        hook.engine, Vault(old), hook.clinic.slug, hook.receiver.url, allowed=LOOPBACK
    )

    done = rotate_keys(hook.engine, Vault(new, [old]), run_id="pims credentials rotate")

    assert (done.webhooks, done.is_complete) == (1, True)
    with transaction(hook.engine) as connection:
        [found] = secrets_of(connection, Vault(new), webhook.id, purpose="test")
    assert found.text == secret


def test_a_secret_that_cannot_be_decrypted_is_a_failure_and_loses_nothing(hook: Hook) -> None:
    hook.change(*cases(1))
    right, hook.vault = hook.vault, Vault(bytes(32))

    assert hook.deliver() == Delivered(failed=1)
    assert hook.state.last_error == "its secret cannot be decrypted"
    hook.vault = right
    hook.pass_time(DAY)
    assert hook.deliver() == Delivered(accepted=1)


def test_an_address_is_registered_once_for_a_clinic(hook: Hook) -> None:
    with pytest.raises(WebhookExists):
        management.add(
            hook.engine, hook.vault, hook.clinic.slug, hook.receiver.url, allowed=LOOPBACK
        )
    with pytest.raises(BadWebhookUrl):
        management.add(hook.engine, hook.vault, hook.clinic.slug, hook.receiver.url, allowed=())
    assert [each.id for each in management.find(hook.engine, hook.clinic.slug)] == [hook.id]


def test_a_test_message_passes_the_outbox(hook: Hook) -> None:
    with Sender(LOOPBACK) as sender:
        now = datetime.now(UTC)
        _, accepted = management.test(hook.engine, hook.vault, sender, hook.id, now)
        hook.receiver.reply = status(500)
        _, refused = management.test(hook.engine, hook.vault, sender, hook.id, now)

    assert (accepted.error, refused.error) == (None, "status 500")
    first, second = hook.receiver.received
    assert first.message["type"] == "ping"
    assert first.verified_by(hook.secret)
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert hook.state.failures == 0


def test_a_disabled_webhook_opens_an_alert_that_ends_when_it_is_replayed(
    hook: Hook, engine: Engine, clinic: Clinic
) -> None:
    hook.receiver.reply = status(410)
    hook.change(*cases(1))
    hook.deliver()
    opened = evaluate(engine, datetime.now(UTC)).to_open
    management.replay_changes(engine, hook.id, None)
    ended = evaluate(engine, datetime.now(UTC)).to_end

    keys = [each.key for each in opened if each.key.kind is AlertKind.WEBHOOK_DISABLED]
    assert [(each.clinic_id, each.subject) for each in keys] == [(clinic.id, str(hook.id))]
    assert set(keys) <= set(ended)


def test_a_removed_webhook_is_unknown(hook: Hook) -> None:
    management.remove(hook.engine, hook.id)
    with pytest.raises(UnknownWebhook, match="pims webhooks list"):
        management.remove(hook.engine, hook.id)


def test_pauses_grow_to_six_hours_and_respect_what_the_receiver_asks() -> None:
    pauses = [pause_after(number, 0.5).total_seconds() for number in range(1, 12)]

    assert pauses[:4] == [5, 20, 80, 320]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 6 * 3600
    assert pause_after(1, 0) < pause_after(1, 1)
    assert pause_after(1, 0.5, 900).total_seconds() == 900
    assert pause_after(1, 0.5, 10**9).total_seconds() == 6 * 3600
    assert pause_after(10**6, 1).total_seconds() == pytest.approx(6 * 3600 * 1.2)
