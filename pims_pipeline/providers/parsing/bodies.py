"""The outer shape of a response: JSON, an object, about the record that was requested. Pure.

What is not what the vendor promises raises ``ContractViolation``. Messages name fields and
problems, never contents. Single values belong in ``fields``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pims_pipeline.domain.records.shapes import Shapes
from pims_pipeline.providers.parsing.decoding import parse_json, text_of
from pims_pipeline.providers.parsing.fields import UnreadableField, as_identity, required
from pims_pipeline.providers.port import ContractViolation


def decoded(body: bytes | str, what: str, vendor: str) -> object:
    """The JSON in ``body``.

    Args:
        body: Of a response.
        what: What was requested, for errors.
        vendor: The vendor's name, for errors.
    """
    try:
        return parse_json(body if isinstance(body, str) else text_of(body))
    except (ValueError, RecursionError):
        # The error's own text would quote the body.
        problem = "something that is not JSON"
    raise violation(what, problem, vendor)


def json_object(body: bytes | str, what: str, vendor: str) -> Mapping[str, object]:
    """The JSON object in ``body``; see ``decoded``."""
    return as_object(decoded(body, what, vendor), what, vendor)


def as_object(content: object, what: str, vendor: str) -> Mapping[str, object]:
    """The decoded ``content``, which must be an object; see ``decoded``."""
    if not isinstance(content, Mapping):
        raise violation(what, "JSON that is not an object", vendor)
    return content


@contextmanager
def violations_with(shapes: Shapes) -> Iterator[None]:
    """Add the response's shapes to a violation that the block raises."""
    try:
        yield
    except ContractViolation as error:
        error.shapes = shapes
        raise


def check_identity(value: object, expected: str | None, field: str) -> None:
    """Refuse a response with another identity than requested: it is of another patient."""
    identity = required(as_identity(value, field), field)
    if expected is not None and identity != expected:
        raise UnreadableField(field, "is not the requested one")


def violation(what: str, problem: str, vendor: str) -> ContractViolation:
    """The error of a response that cannot be read; ``problem`` holds none of its content."""
    return ContractViolation(
        f"Cannot read {what} from {vendor}: the response has an unexpected shape: {problem}. "
        "Nothing was changed; if it lasts, the vendor has changed its interface and "
        "the adapter must follow."
    )
