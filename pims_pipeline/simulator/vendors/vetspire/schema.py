"""The vendor's schema, and how a request is read against it: syntax, fields, depth.

``schema.graphql`` has the types. What a query gives belongs in ``queries``.
"""

from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.resources import files

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
)

MAX_DEPTH = 8
"""How many fields may lie inside one another."""
_DOCUMENTS_KEPT = 64
_MAX_TOKENS = 20_000


@cache
def vendor_schema() -> GraphQLSchema:
    """The schema, with scalars that read times as the vendor does."""
    text = files(__package__).joinpath("schema.graphql").read_text()
    schema = build_schema(text)
    for name, read in (("DateTime", read_datetime), ("NaiveDateTime", read_naive_datetime)):
        scalar = schema.type_map[name]
        if isinstance(scalar, GraphQLScalarType):
            scalar.parse_value = read  # type: ignore[method-assign]  # graphql-core's own way
    return schema


def read_datetime(value: object) -> datetime:
    """A ``DateTime`` of a request, in UTC.

    Raises:
        GraphQLError: If it is not RFC 3339 with an offset.
    """
    moment = _moment(value)
    if moment is None or moment.tzinfo is None:
        raise GraphQLError("DateTime must be RFC 3339 with an offset")
    return moment.astimezone(UTC)


def read_naive_datetime(value: object) -> datetime:
    """A ``NaiveDateTime`` of a request, in UTC.

    Raises:
        GraphQLError: If it is not a time without a zone.
    """
    moment = _moment(value)
    if moment is None or moment.tzinfo is not None:
        raise GraphQLError("NaiveDateTime must be a UTC time without a zone")
    return moment.replace(tzinfo=UTC)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or ":" not in value:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


@lru_cache(maxsize=_DOCUMENTS_KEPT)
def read_document(query: str) -> DocumentNode | tuple[GraphQLError, ...]:
    """The parsed query, or what is wrong with it."""
    try:
        document = parse(query, max_tokens=_MAX_TOKENS)
    except GraphQLError as error:
        return (error,)
    wrong = validate(vendor_schema(), document)
    if wrong:
        return tuple(wrong)
    depth = depth_of(document)
    if depth > MAX_DEPTH:
        return (GraphQLError(f"The query is {depth} levels deep; at most {MAX_DEPTH} are allowed"),)
    return document


def depth_of(document: DocumentNode) -> int:
    """How many fields lie inside one another; ``document`` is valid, so fragments end."""
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    fragments = fragments_of(document)
    return max((_depth(each.selection_set, fragments) for each in operations), default=0)


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of a document, by name."""
    defined = [d for d in document.definitions if isinstance(d, FragmentDefinitionNode)]
    return {each.name.value: each for each in defined}


def _depth(selected: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode]) -> int:
    deepest = 0
    for node in selected.selections if selected else ():
        match node:
            case FieldNode():
                deepest = max(deepest, 1 + _depth(node.selection_set, fragments))
            case FragmentSpreadNode():
                inner = fragments[node.name.value].selection_set
                deepest = max(deepest, _depth(inner, fragments))
            case InlineFragmentNode():
                deepest = max(deepest, _depth(node.selection_set, fragments))
    return deepest
