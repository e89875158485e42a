"""Responses in place of the sound one that only this vendor has: 403, errors, partial data.

Faults that every vendor has belong in ``vendors.responses``.
"""

import copy
import json

from fastapi.responses import JSONResponse, Response

from pims_pipeline.simulator.faults import Fault, FaultKind
from pims_pipeline.simulator.vendors.odd_forms import Json

_INTERNAL = "Internal server error"


def forbidden() -> Response:
    """The response to a key that is missing, wrong or revoked."""
    return JSONResponse({"error": "Forbidden"}, status_code=403)


def poisoned() -> Response:
    """The response for a page with a row that cannot be shown."""
    return JSONResponse({"error": _INTERNAL}, status_code=500)


def instead_of_data(fault: Fault | None) -> Response | None:
    """The response that a fault of this vendor puts in place of the sound one."""
    match fault.kind if fault else None:
        case FaultKind.FORBIDDEN:
            return forbidden()
        case FaultKind.GRAPHQL_ERRORS:
            return JSONResponse({"data": None, "errors": [{"message": _INTERNAL}]})
        case _:
            return None


def with_partial_data(response: Response) -> Response:
    """The response without the first row of each list, and without each single record."""
    content: Json = json.loads(bytes(response.body))
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        return response
    partial: dict[str, Json] = copy.copy(data)
    errors: list[Json] = []
    for name, value in data.items():
        rows = isinstance(value, list) and bool(value)
        partial[name] = [None, *value[1:]] if isinstance(value, list) and rows else None
        errors.append({"message": _INTERNAL, "path": [name, 0] if rows else [name]})
    return JSONResponse({"data": partial, "errors": errors})
