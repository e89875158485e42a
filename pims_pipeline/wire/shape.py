"""What all models have in common: camelCase names, moments in UTC, fields that may be left out."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def utc_text(moment: datetime) -> str:
    """An aware moment as JSON holds it, such as ``2026-03-29T01:00:00.000Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _local_text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

Moment = Annotated[
    AwareDatetime, PlainSerializer(utc_text, return_type=str, when_used="json"), _DATE_TIME
]
"""Written in UTC, in milliseconds."""

LocalMoment = Annotated[
    AwareDatetime, PlainSerializer(_local_text, return_type=str, when_used="json"), _DATE_TIME
]
"""Written with the offset of its own time zone, in milliseconds."""


def _is_none(value: object) -> bool:
    return value is None


def left_out_if_none(description: str | None = None) -> object:
    """For the annotation of a field that a response lacks when there is nothing to say."""
    return Field(description=description, exclude_if=_is_none)


LEFT_OUT_IF_NONE: Final = left_out_if_none()


class Model(BaseModel):
    """A JSON object with exactly the fields that it declares.

    Validated when it is made, so that nothing else can be sent. An error does not quote the
    values: they may be people's.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )
