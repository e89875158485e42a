"""When a clinic's calendar was last listed as a whole, under the rules that still hold.

What a whole listing is for belongs in ``pims_pipeline.sync.phases.changes``.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange

_LAST = text(
    """
    SELECT max(audit.fetched_at)
    FROM case_sync_audits AS audit
    JOIN clinics AS clinic ON clinic.id = audit.clinic_id
    WHERE audit.clinic_id = :clinic_id AND audit.sync_type = 'inbound'
      AND audit.status = 'completed' AND audit.updated_at > :after
      AND audit.changed_since IS NULL AND audit.quarantined = 0
      AND audit.fetched_at BETWEEN :after AND :now
      AND audit.window_start <= :start AND audit.window_end >= :end
      -- Since the clinic, or what opens it, changed, another calendar may be meant.
      AND audit.fetched_at > clinic.updated_at
      AND NOT EXISTS (
          SELECT FROM pims_credentials AS login
          WHERE login.clinic_id = clinic.id AND login.provider_type = clinic.provider_type
            AND login.updated_at >= audit.fetched_at)
      -- Only a listing shows whether an unreadable record can be read now, or is gone.
      AND NOT EXISTS (
          SELECT FROM sync_failures AS failure
          WHERE failure.clinic_id = clinic.id AND failure.phase = 'inbound'
            AND failure.resolved_at IS NULL)
    """
)


def last_whole_listing(
    connection: Connection, clinic: Clinic, window: DateRange, *, after: datetime, now: datetime
) -> datetime | None:
    """When the newest whole listing that covers the window was requested; None without one.

    Each of its records was readable, no record of the clinic is unreadable now, and neither the
    clinic nor its credentials were changed since.

    Args:
        connection: In a transaction.
        clinic: Whose calendar.
        window: The business dates.
        after: Aware UTC; older listings do not count.
        now: Aware UTC; later ones were written by a wrong clock.
    """
    listed_at: datetime | None = connection.scalar(
        _LAST,
        {
            "clinic_id": clinic.id,
            "start": window.start,
            "end": window.end,
            "after": after,
            "now": now,
        },
    )
    return listed_at
