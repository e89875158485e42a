"""What a clinic's vendor was seen to send, for a report. Read-only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.shapes import MAX_PATHS
from pims_pipeline.providers.registry import registry
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.shapes.reading import WeeklyShape, weekly_shapes


class NothingSeen(UserFacingError):
    """No response of the clinic's vendor has been seen yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorShapes:
    """The shapes of one clinic's vendor.

    Attributes:
        adapter: The package that the adapter belongs to.
        adapter_version: Its present version.
    """

    clinic: Clinic
    adapter: str
    adapter_version: str
    shapes: Sequence[WeeklyShape]

    @property
    def is_complete(self) -> bool:
        """Whether every path could be kept in every week."""
        paths = {(week, each.path) for each in self.shapes for week, _ in each.weeks}
        return max(Counter(week for week, _ in paths).values(), default=0) < MAX_PATHS


def vendor_shapes(engine: Engine, slug: str) -> VendorShapes:
    """Everything that is kept of the shapes of the clinic's present vendor.

    Raises:
        UnknownClinic: If the clinic does not exist.
        NothingSeen: If there are no shapes.
        UnknownProvider: If the package of its provider is no longer installed.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        shapes = weekly_shapes(connection, clinic.id, clinic.provider_type)
    if not shapes:
        raise NothingSeen(
            f"no response of {slug}'s vendor ({clinic.provider_type}) has been seen yet; run "
            f"`pims sync full --clinic {slug}` first"
        )
    return VendorShapes(
        clinic=clinic,
        adapter=registry().package(clinic.provider_type),
        adapter_version=registry().package_version(clinic.provider_type),
        shapes=shapes,
    )
