"""A delivery killed at any statement or commit: at least once, in order, nothing lost."""

import os
import signal
from datetime import timedelta
from itertools import count
from multiprocessing.context import ForkServerContext
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.webhooks.delivery import Webhooks, deliver_due
from pims_pipeline.webhooks.sending import Sender
from pims_pipeline_tests.webhooks.conftest import LOOPBACK, Hook, hook_at
from pims_pipeline_tests.webhooks.receiver import Receiver

KEY = bytes(range(32))
MOST_STATEMENTS = 100
LATER = 61


@pytest.fixture
def hook(engine: Engine, clinic: Clinic, receiver: Receiver) -> Hook:
    """A webhook whose secret a process of its own can decrypt."""
    return hook_at(engine, Vault(KEY), clinic, receiver)


def _deliver_until_killed(url: str, fatal: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or commit."""
    engine = create_engine(url)
    seen = count(1)

    def kill_if_due(*_: object) -> None:
        if next(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", kill_if_due)
    event.listen(engine, "commit", kill_if_due)
    with Sender(LOOPBACK) as sender:
        deliver_due(engine, Webhooks(open_vault=lambda: Vault(KEY)), sender)


def _is_killed(forks: ForkServerContext, url: str, fatal: int) -> bool:
    process = forks.Process(target=_deliver_until_killed, args=(url, fatal))
    process.start()
    process.join()
    if process.exitcode == 0:
        return False
    assert process.exitcode == -signal.SIGKILL
    return True


def test_a_delivery_killed_anywhere_loses_nothing(
    hook: Hook, database_url: str, forks: ForkServerContext
) -> None:
    kills = 0
    for fatal in range(1, MOST_STATEMENTS):
        case: UUID = uuid4()
        hook.change(case, case)
        expected = list(hook.waiting())
        hook.receiver.received.clear()
        killed = _is_killed(forks, database_url, fatal)
        _expire_claims(hook)
        hook.deliver()

        assert hook.waiting() == [], f"killed before statement {fatal}"
        first_times = list(dict.fromkeys(hook.receiver.numbers))
        assert first_times == expected, f"killed before statement {fatal}"
        assert hook.receiver.numbers == sorted(hook.receiver.numbers)
        kills += killed
        if not killed:
            break
    assert kills > 10


def _expire_claims(hook: Hook) -> None:
    hook.pass_time(timedelta(seconds=LATER))
