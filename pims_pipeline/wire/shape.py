"""What all models share: camelCase names, times in UTC, fields that may be left out."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def utc_text(time: datetime) -> str:
    """Return an aware time as in JSON, such as ``2026-03-29T01:00:00.000Z``."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _local_text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

Timestamp = Annotated[
    AwareDatetime, PlainSerializer(utc_text, return_type=str, when_used="json"), _DATE_TIME
]
"""Written in UTC, in milliseconds."""

LocalTimestamp = Annotated[
    AwareDatetime, PlainSerializer(_local_text, return_type=str, when_used="json"), _DATE_TIME
]
"""Written with the offset of its own time zone, in milliseconds."""


def _is_none(value: object) -> bool:
    return value is None


def left_out_if_none(description: str | None = None) -> object:
    """Annotate a field that is left out of the JSON if it is None."""
    return Field(description=description, exclude_if=_is_none)


LEFT_OUT_IF_NONE: Final = left_out_if_none()


class Model(BaseModel):
    """A JSON object with exactly the fields that it declares.

    Validated when it is created, so that nothing else can be sent. Validation errors do not
    quote the values, which may be personal data.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )
