"""The sensor ``webhooks``: delivers changes of cases to the clinics' webhooks.

``pims_pipeline.webhooks`` delivers; here is only the sensor. A receiver that fails does not fail
the tick: its changes are retried, and after three days an alert opens.
"""

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.dagster_names import WEBHOOKS_SENSOR
from pims_pipeline.orchestration.code_server.ending import ENDING
from pims_pipeline.webhooks.delivery import Webhooks, deliver_due
from pims_pipeline.webhooks.sending import Sender


@dg.sensor(
    name=WEBHOOKS_SENSOR,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Delivers changes of cases to webhooks, in order for each case and at least once. What a "
        "receiver does not accept is retried for three days."
    ),
)
def webhooks(
    store: dg.ResourceParam[Engine], webhook_delivery: dg.ResourceParam[Webhooks]
) -> dg.SkipReason:
    """Deliver what is due."""
    with Sender(webhook_delivery.allowed, ENDING) as sender:
        done = deliver_due(store, webhook_delivery, sender)
    return dg.SkipReason(f"{done.accepted} messages delivered, {done.failed} failed")
