"""Reads the JSON of the simulator's control interface strictly, for ``control_client``."""

from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def json_object(value: Json) -> Mapping[str, Json]:
    """An object.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, Mapping):
        raise TypeError("the simulator's control interface sent another shape than expected")
    return value


def json_objects(value: Json) -> list[Mapping[str, Json]]:
    """A list of objects.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("the simulator's control interface sent another shape than expected")
    return [json_object(record) for record in value]


def json_text(value: Json) -> str:
    """A text.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, str):
        raise TypeError("the simulator's control interface sent no text where one is expected")
    return value


def optional_text(value: Json) -> str | None:
    """A text, or nothing."""
    return None if value is None else json_text(value)


def json_counts(value: Json) -> dict[str, int]:
    """An object of numbers."""
    return {name: count for name, count in json_object(value).items() if isinstance(count, int)}
