"""Repair of a clinic's stored times in the future, which a wrong clock wrote.

The rule for such times belongs in ``pims_pipeline.domain.moments``.
"""

from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.moments import in_future, repair_moments

log = get_logger(__name__)


def repair_if_needed(
    connection: Connection, clinic: Clinic, window: DateRange, now: datetime
) -> int:
    """Rewrite the clinic's times after ``now`` (aware); return how many rows had one.

    Call it in a transaction. Without such times, it takes one statement; with them, the clinic's
    other writers wait for it.
    """
    if not in_future(connection, clinic, window, now):
        return 0
    lock_clinic(connection, clinic.id)
    repaired = repair_moments(connection, clinic.id, now)
    log.warning("moments_repaired", clinic=clinic.slug, now=now.isoformat(), rows=repaired)
    return sum(repaired.values())
