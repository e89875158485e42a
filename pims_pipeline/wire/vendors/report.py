"""The shapes of a vendor's responses, to be shared: no values and, unless wanted, no clinic."""

from datetime import date
from typing import Annotated, Literal, Self

from pims_pipeline.operations.vendor_shapes import VendorShapes
from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model


class WeekCount(Model):
    """How often a path with a type was seen in a week, by its Monday in UTC."""

    week: date
    count: int


class ShapeDocument(Model):
    """A path with one of its JSON types."""

    path: str
    json_type: str
    weeks: list[WeekCount]


class ShapeReport(Model):
    """What a vendor was seen to send to one clinic.

    Attributes:
        format: Of this document.
        adapter: The package of the adapter, with its version.
        clinic: The slug, if the person who made the report wants it in.
        is_complete: False if there were more paths than are kept.
    """

    format: Literal["pims-vendor-shapes-1"] = "pims-vendor-shapes-1"
    provider: str
    adapter: str
    adapter_version: str
    clinic: Annotated[str | None, LEFT_OUT_IF_NONE]
    is_complete: bool
    shapes: list[ShapeDocument]

    @classmethod
    def of(cls, found: VendorShapes, *, with_clinic: bool) -> Self:
        """Build it from a clinic's shapes; it names the clinic ``with_clinic`` only."""
        return cls(
            provider=found.clinic.provider_type,
            adapter=found.adapter,
            adapter_version=found.adapter_version,
            clinic=found.clinic.slug if with_clinic else None,
            is_complete=found.is_complete,
            shapes=[
                ShapeDocument(
                    path=each.path,
                    json_type=each.json_type,
                    weeks=[WeekCount(week=week, count=count) for week, count in each.weeks],
                )
                for each in found.shapes
            ],
        )
