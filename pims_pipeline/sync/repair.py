"""What a wrong clock wrote about a clinic, repaired before a phase works with it."""

from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database import lock_clinic
from pims_pipeline.store.moments import in_future, repair_moments

log = get_logger(__name__)


def repair_if_needed(
    connection: Connection, clinic: Clinic, window: DateRange, now: datetime
) -> int:
    """Rewrite the clinic's moments that lie after ``now`` (aware); gives how many rows had one.

    Costs one statement where there are none. In a transaction; the clinic's other writers wait
    for it where there are some.
    """
    if not in_future(connection, clinic, window, now):
        return 0
    lock_clinic(connection, clinic.id)
    repaired = repair_moments(connection, clinic.id, now)
    log.warning("moments_repaired", clinic=clinic.slug, now=now.isoformat(), rows=repaired)
    return sum(repaired.values())
