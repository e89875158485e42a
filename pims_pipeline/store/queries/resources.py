"""The resources of the landed appointments, counted. Read-only."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.store.cases.metadata import SOFT_DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedGroup:
    """Appointments of a window with the same resources.

    Attributes:
        resources: As landed; None for records that were landed before they were stored.
        provider: What they call their provider.
        appointments: How many there are.
        active_cases: How many of them have a case that is not retired.
    """

    resources: tuple[str, ...] | None
    provider: str | None
    appointments: int
    active_cases: int


def landed_groups(connection: Connection, clinic: Clinic, window: DateRange) -> list[LandedGroup]:
    """The window's landed appointments that are at the vendor, by their resources."""
    rows = connection.execute(
        text(
            f"""
            SELECT a.resources, a.payload ->> 'provider' AS provider, count(*) AS appointments,
                   count(*) FILTER (WHERE c.id IS NOT NULL AND NOT {SOFT_DELETED}) AS active_cases
            FROM pims_appointments AS a
            LEFT JOIN cases AS c USING (clinic_id, provider_type, pims_id)
            WHERE a.clinic_id = :clinic_id AND a.provider_type = :provider_type
              AND a.business_date BETWEEN :start AND :end
              AND a.missing_since IS NULL AND a.removed_at IS NULL
              AND a.payload ->> 'kind' = 'appointment'
            GROUP BY 1, 2 ORDER BY 1, 2
            """  # noqa: S608 - a fixed expression
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "start": window.start,
            "end": window.end,
        },
    )
    return [
        LandedGroup(
            resources=None if row.resources is None else tuple(row.resources),
            provider=row.provider,
            appointments=row.appointments,
            active_cases=row.active_cases,
        )
        for row in rows
    ]
