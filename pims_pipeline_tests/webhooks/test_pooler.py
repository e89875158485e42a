"""Webhooks through a pooler in transaction mode, with one connection."""

from dataclasses import replace

from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.webhooks.delivery import Delivered
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.webhooks.conftest import Hook, cases


def test_each_change_is_delivered_once(hook: Hook, database_url: str) -> None:
    with pgbouncer(database_url, size=1) as url:
        pooled = create_engine(url)
        through = replace(hook, engine=pooled)
        through.change(*cases(12))

        assert through.deliver() == Delivered(accepted=12)
        pooled.dispose()
    assert len(set(hook.receiver.numbers)) == 12
