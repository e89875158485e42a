"""The rooms, columns and providers of a clinic's calendar, and which of them are synced."""

from typing import Self

from pims_pipeline.operations.resources import ResourceOverview
from pims_pipeline.wire.results import Dates
from pims_pipeline.wire.shape import Model


class ResourceDocument(Model):
    """A room, column or provider of a clinic's calendar."""

    id: str
    name: str
    is_listed: bool
    appointments: int
    is_synced: bool


class ResourcesDocument(Model):
    """Which resources a clinic syncs, and what that does to the known appointments of a window."""

    clinic: str
    included: list[str] | None
    excluded: list[str]
    date_range: Dates
    appointments: int
    left_out: int
    active_cases: int
    cases_to_retire: int
    is_held: bool
    resources: list[ResourceDocument]

    @classmethod
    def of(cls, overview: ResourceOverview, *, is_held: bool) -> Self:
        """Build it from an overview.

        Args:
            overview: The clinic's resources.
            is_held: Whether the deletion guard would hold the retirements.
        """
        chosen, effect = overview.clinic.resources, overview.effect
        return cls(
            clinic=overview.clinic.slug,
            included=None if chosen.included is None else sorted(chosen.included),
            excluded=sorted(chosen.excluded),
            date_range=Dates.of(overview.window),
            appointments=effect.appointments,
            left_out=effect.left_out,
            active_cases=effect.active_cases,
            cases_to_retire=effect.retired,
            is_held=is_held,
            resources=[
                ResourceDocument(
                    id=each.key,
                    name=each.name,
                    is_listed=each.is_listed,
                    appointments=each.appointments,
                    is_synced=each.is_synced,
                )
                for each in overview.uses
            ],
        )
