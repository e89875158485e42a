"""When each phase of each clinic last succeeded, and when it last completed or was held.

The one definition of both. What shows how old the data is uses ``last_success``: it counts from
the end of a completed sync. What judges lateness uses ``last_completed_or_held``: it counts from
the start, as the schedule does, and a hold is no fault of the phase. `/metrics` reads the first
through ``pims_metrics_phases()``, which a test compares with this query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.moments import latest_known
from pims_pipeline.domain.phases import Phase


@dataclass(frozen=True, slots=True)
class LastSyncs:
    """The last good syncs of one phase of one clinic, whatever their windows. Aware UTC.

    Attributes:
        last_success: When its newest completed audit ended; None when there is none.
        last_completed_or_held: When its newest audit began that was completed or held; None
            when there is none.
    """

    last_success: datetime | None = None
    last_completed_or_held: datetime | None = None


NEVER = LastSyncs()


def last_syncs(connection: Connection, now: datetime) -> Mapping[tuple[UUID, Phase], LastSyncs]:
    """Of each clinic, active or not, and each phase, as of ``now`` (aware).

    Audits that a wrong clock wrote in the future do not count. Each time is the first entry
    of an index, however many audits there are.
    """
    rows = connection.execute(
        text(_LAST_SYNCS),
        {"phases": [phase.value for phase in Phase], "latest": latest_known(now)},
    )
    return {
        (row.clinic_id, Phase(row.phase)): LastSyncs(row.last_success, row.last_completed_or_held)
        for row in rows
    }


_LAST_SYNCS = """
    SELECT c.id AS clinic_id, p.phase, success.last_success, worked.last_completed_or_held
    FROM clinics AS c CROSS JOIN unnest(CAST(:phases AS text[])) AS p (phase)
    LEFT JOIN LATERAL (
        SELECT a.updated_at AS last_success FROM case_sync_audits AS a
        WHERE a.clinic_id = c.id AND a.sync_type = p.phase AND a.status = 'completed'
          AND a.updated_at <= :latest
        ORDER BY a.updated_at DESC LIMIT 1) AS success ON true
    LEFT JOIN LATERAL (
        SELECT a.created_at AS last_completed_or_held FROM case_sync_audits AS a
        WHERE a.clinic_id = c.id AND a.sync_type = p.phase AND a.status IN ('completed', 'held')
          AND a.created_at <= :latest
        ORDER BY a.created_at DESC LIMIT 1) AS worked ON true
"""
