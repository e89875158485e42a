"""A short form of the OpenAPI document: a line for each path, parameter, response and field.

It leaves out descriptions and examples: the rest is what a client depends on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def outline(document: Json) -> str:
    """The document's lines, sorted by path and by the name of each schema."""
    lines = [
        *(
            line
            for path, operations in sorted(document["paths"].items())
            for method, operation in sorted(operations.items())
            for line in _operation(f"{method.upper()} {path}", operation)
        ),
        *(
            line
            for name, schema in sorted(document["components"]["schemas"].items())
            for line in _schema(name, schema)
        ),
    ]
    return "\n".join(lines) + "\n"


def _operation(title: str, operation: Json) -> Iterator[str]:
    keys = "".join(f" [{name}]" for each in operation.get("security", ()) for name in each)
    yield f"{title}{keys}"
    for each in operation.get("parameters", ()):
        yield f"  {each['in']} {each['name']}{_mark(each.get('required'))}: {_kind(each['schema'])}"
    if (body := operation.get("requestBody")) is not None:
        yield f"  body{_mark(body.get('required'))}: {_content(body)}"
    for status, response in sorted(operation["responses"].items()):
        headers = "".join(f" +{name}" for name in sorted(response.get("headers", ())))
        yield f"  {status}: {_content(response)}{headers}"


def _mark(required: object) -> str:
    return "" if required else "?"


def _content(holder: Json) -> str:
    content = holder.get("content", {})
    return ", ".join(f"{kind} {_kind(media.get('schema', {}))}" for kind, media in content.items())


def _schema(name: str, schema: Json) -> Iterator[str]:
    closed = " (no other fields)" if schema.get("additionalProperties") is False else ""
    if "properties" not in schema:
        yield f"{name}: {_kind(schema)}"
        return
    yield f"{name}{closed}"
    required = schema.get("required", ())
    for field, of_field in sorted(schema["properties"].items()):
        yield f"  {field}{_mark(field in required)}: {_kind(of_field)}"


_LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


def _kind(schema: Json) -> str:
    """What a value may be, such as ``integer (minimum 1) = 5`` or ``Links | null``."""
    limits = ", ".join(f"{limit} {schema[limit]}" for limit in _LIMITS if limit in schema)
    default = f" = {schema['default']}" if schema.get("default") is not None else ""
    return f"{_type(schema)}{f' ({limits})' if limits else ''}{default}"


def _type(schema: Json) -> str:
    match schema:
        case {"$ref": reference}:
            found = str(reference).rpartition("/")[2]
        case {"const": word}:
            found = repr(word)
        case {"enum": words}:
            found = " | ".join(map(repr, words))
        case {"anyOf": kinds} | {"oneOf": kinds}:
            found = " | ".join(map(_kind, kinds))
        case {"prefixItems": items}:
            found = f"[{', '.join(map(_kind, items))}]"
        case {"items": item}:
            found = f"{_kind(item)}[]"
        case {"additionalProperties": Mapping() as value}:
            found = f"{{name: {_kind(value)}}}"
        case _:
            words = [str(schema[each]) for each in ("type", "format") if each in schema]
            found = " ".join(words) or "any"
    return found
