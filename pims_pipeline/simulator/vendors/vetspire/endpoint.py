"""``POST /graphql``: the key, the query, and the response with its errors.

``queries`` decides what a query gives, ``schema`` how it is read.
"""

import json
import secrets
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    execute_sync,
)

from pims_pipeline.simulator.faults import Endpoint
from pims_pipeline.simulator.practice.calendar import UnknownEntry
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.vetspire.queries import Queries
from pims_pipeline.simulator.vendors.vetspire.schema import read_document, vendor_schema

_ENDPOINTS: dict[str, Endpoint] = {
    "appointments": "listing",
    "appointment": "appointment",
    "encounters": "consultation",
    "encounter": "consultation",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that could be read.

    Attributes:
        endpoint: What its first query is, in the words of the simulator's faults and counts.
    """

    document: DocumentNode
    variables: dict[str, object] = field(default_factory=dict)
    operation: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        for operation in self.document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                for node in operation.selection_set.selections:
                    if isinstance(node, FieldNode):
                        return _ENDPOINTS.get(node.name.value, "dictionary")
        return "dictionary"


async def graphql(request: Request) -> Response:
    """``POST /graphql``."""
    simulator = await simulator_of(request)
    practices = opened_by(simulator, request.headers.get("authorization", ""))
    if not practices:
        return JSONResponse({"error": "Forbidden"}, status_code=403)
    call = _read(await request.body())
    if isinstance(call, Response):
        return call
    simulator.requests[call.endpoint] += 1
    return _result(
        execute_sync(
            vendor_schema(),
            call.document,
            root_value=Queries(practices),
            variable_values=call.variables,
            operation_name=call.operation,
        )
    )


def opened_by(simulator: Simulator, key: str) -> list[Practice]:
    """The clinics whose organisation has this key; none, if no organisation has it."""
    return [
        practice
        for practice in simulator.practices_of("vetspire")
        if secrets.compare_digest(practice.clinic.api_key.encode(), key.encode())
    ]


def _read(body: bytes) -> _Call | Response:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    query = content.get("query") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(query, str):
        return JSONResponse({"errors": [{"message": "No query document supplied"}]}, 400)
    document = read_document(query)
    if isinstance(document, tuple):
        return _result(ExecutionResult(None, list(document)))
    variables, operation = content.get("variables"), content.get("operationName")
    return _Call(
        document,
        variables if isinstance(variables, dict) else {},
        operation if isinstance(operation, str) else None,
    )


def _result(result: ExecutionResult) -> Response:
    """The response; one unknown id leaves it without any data.

    Raises:
        GraphQLError: If the simulator itself failed, which is no response of the vendor's.
    """
    errors = result.errors or []
    if not errors:
        return JSONResponse({"data": result.data})
    for error in errors:
        if not isinstance(error.original_error, UnknownEntry | GraphQLError | None):
            raise error
    unknown = any(isinstance(error.original_error, UnknownEntry) for error in errors)
    return JSONResponse(
        {"data": None if unknown else result.data, "errors": [_error(error) for error in errors]}
    )


def _error(error: GraphQLError) -> dict[str, object]:
    shown: dict[str, object] = {"message": error.message}
    return shown | {"path": error.path} if error.path else shown
