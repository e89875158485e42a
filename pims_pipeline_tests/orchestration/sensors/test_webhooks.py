"""The sensor of webhooks: what a sync changes reaches the receiver."""

from dataclasses import replace
from uuid import UUID

from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.webhooks import management
from pims_pipeline_tests.orchestration.deployment import START, DagsterDeployment, days
from pims_pipeline_tests.orchestration.sensors.test_idle_evaluations import evaluate
from pims_pipeline_tests.webhooks.conftest import LOOPBACK
from pims_pipeline_tests.webhooks.receiver import running_receiver


def test_what_a_sync_changes_is_delivered(deployment: DagsterDeployment, sources: Sources) -> None:
    definitions = code_location(replace(sources, webhook_networks=LOOPBACK), partition_start=START)
    with running_receiver() as receiver:
        _, secret = management.add(
            deployment.engine, sources.open_vault(), "alder", receiver.url, allowed=LOOPBACK
        )
        deployment.book("alder", days(0, 2))
        assert deployment.sync("inbound_sync", ["alder"], days(0, 2)).success
        evaluate(deployment, definitions, "webhooks")

    [*created] = deployment.rows("SELECT id FROM cases")
    assert {UUID(each.case_id) for each in receiver.received} == {row.id for row in created}
    assert all(each.verified_by(secret) for each in receiver.received)
    assert {each.message["type"] for each in receiver.received} == {"case.created"}
    assert deployment.rows("SELECT FROM webhook_deliveries") == []
