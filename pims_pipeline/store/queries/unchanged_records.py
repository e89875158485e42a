"""Which records of a listing are landed as listed and need no decision, found by the database.

Add a condition here when ``inbound_decisions.decide`` looks at something else. A condition may
leave out a record that changes nothing: it is then read and decided on. It may never leave in one
that changes something. What a listing changes belongs in ``pims_pipeline.domain.planning``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.planning.landed_records import Landing
from pims_pipeline.store.cases.metadata import IS_SETTLED
from pims_pipeline.store.database.batches import array_literal


@dataclass(frozen=True, slots=True)
class UnchangedRecords:
    """The records of a listing that need no decision.

    Attributes:
        pims_ids: Their identities.
        landed_in_window: How many records of the window are landed, these included.
    """

    pims_ids: frozenset[str]
    landed_in_window: int


_LEFT_OUT = "left-out"
_WITHOUT = "without-resources"
# Without joins: while the tables have no statistics, the planner takes a window for one row, and a
# join would read all cases for each row. The digest covers the identity, so it finds the record.
_COMPARISON = text(
    f"""
    SELECT count(*) AS landed_in_window, array_agg(a.pims_id) FILTER (WHERE
        coalesce(concat_ws(' ', a.digest,
                           CASE WHEN a.left_out THEN '{_LEFT_OUT}'
                                ELSE a.meant_status || ' ' || a.meant_type END,
                           CASE WHEN a.resources = '{{}}' THEN '{_WITHOUT}'
                                ELSE array_to_string(a.resources, ' ') END)
                 = ANY(CAST(:keys AS text[])), false)
        -- The store knows nothing newer, nor a time that a wrong clock wrote.
        AND a.last_seen_at <= :fetched_at
        AND coalesce(a.missing_since <= :fetched_at, true)
        AND coalesce(a.removed_at <= :fetched_at, true)
        AND a.series_id IS NULL
        -- By index: a clinic may have more series than are worth reading for each listing.
        AND NOT EXISTS (
            SELECT FROM pims_appointments AS s
            WHERE s.clinic_id = :clinic_id AND s.provider_type = :provider_type
              AND s.series_id = a.pims_id)
        -- Only a synced appointment has a case to follow it.
        AND (a.left_out OR a.meant_status IS NULL OR EXISTS (
            SELECT FROM cases AS c
            WHERE c.clinic_id = :clinic_id AND c.provider_type = :provider_type
              AND c.pims_id = a.pims_id AND {IS_SETTLED}))) AS unchanged
    FROM pims_appointments AS a
    WHERE a.clinic_id = :clinic_id AND a.provider_type = :provider_type
      AND a.business_date BETWEEN :start AND :end
    """  # noqa: S608 - fixed conditions
)


def unchanged_records(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    landings: Sequence[Landing],
    fetched_at: datetime,
) -> UnchangedRecords:
    """Those of ``landings`` that are landed already and need no decision.

    Args:
        connection: In a transaction.
        clinic: Whose records.
        window: The window of the listing.
        landings: Records of the listing that ``comparable`` returns.
        fetched_at: When the listing was fetched.
    """
    row = connection.execute(
        _COMPARISON,
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "start": window.start,
            "end": window.end,
            "fetched_at": fetched_at,
            "keys": array_literal(map(_key, landings)),
        },
    ).one()
    return UnchangedRecords(frozenset(row.unchanged or ()), row.landed_in_window)


def _key(landing: Landing) -> str:
    """The digest with what else is compared, as the comparison writes it."""
    appointment, meaning = landing.appointment, landing.meaning
    parts = [landing.digest]
    if appointment.left_out:
        parts.append(_LEFT_OUT)
    elif meaning is not None:
        parts += (meaning.status, meaning.case_type)
    if appointment.resources is not None:
        parts += appointment.resources or (_WITHOUT,)
    return " ".join(parts)
