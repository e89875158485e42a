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
    value_from_ast_untyped,
)

from pims_pipeline.simulator.faults import Endpoint, FaultKind, RequestFaults
from pims_pipeline.simulator.practice.calendar import UnknownEntry
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.responses import apply_fault, delay_response, fault_response
from pims_pipeline.simulator.vendors.vetspire.fault_responses import (
    forbidden,
    instead_of_data,
    poisoned,
    with_partial_data,
)
from pims_pipeline.simulator.vendors.vetspire.oddities import oddly_described
from pims_pipeline.simulator.vendors.vetspire.queries import Queries
from pims_pipeline.simulator.vendors.vetspire.record_faults import Poisoned
from pims_pipeline.simulator.vendors.vetspire.schema import read_document, vendor_schema

_ENDPOINTS: dict[str, Endpoint] = {
    "appointments": "listing",
    "appointment": "appointment",
    "encounters": "consultation",
    "encounter": "consultation",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that could be read."""

    document: DocumentNode
    variables: dict[str, object] = field(default_factory=dict)
    operation: str | None = None

    @property
    def first(self) -> tuple[str, dict[str, object]]:
        """Its first query, with the arguments: what the simulator's faults and counts go by."""
        for operation in self.document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                for node in operation.selection_set.selections:
                    if isinstance(node, FieldNode):
                        return node.name.value, self._arguments_of(node)
        return "", {}

    def _arguments_of(self, node: FieldNode) -> dict[str, object]:
        return {
            each.name.value: value_from_ast_untyped(each.value, self.variables)
            for each in node.arguments
        }


async def graphql(request: Request) -> Response:
    """``POST /graphql``."""
    simulator = await simulator_of(request)
    practices = opened_by(simulator, request.headers.get("authorization", ""))
    if not practices:
        return forbidden()
    call = _read(await request.body())
    if isinstance(call, Response):
        return call
    name, asked = call.first
    endpoint = _ENDPOINTS.get(name, "dictionary")
    simulator.requests[endpoint] += 1
    location = Queries(practices).location_of(name, asked)
    faults = simulator.faults.take(endpoint, location, "vetspire")
    await delay_response(request, faults.delays, simulator.stopping)
    instead = instead_of_data(faults.response)
    if instead is None and faults.response is not None:
        instead = fault_response(faults.response)
    if instead is not None:
        return instead
    queries = Queries(practices, faults.records, simulator.foreign_location)
    return _respond(call, queries, faults)


def _respond(call: _Call, queries: Queries, faults: RequestFaults) -> Response:
    result = execute_sync(
        vendor_schema(),
        call.document,
        root_value=queries,
        variable_values=call.variables,
        operation_name=call.operation,
    )
    for practice in queries.listed:
        practice.page_edits.note_page(practice.calendar)
    if any(isinstance(error.original_error, Poisoned) for error in result.errors or ()):
        return poisoned()
    response = _result(result)
    if faults.response and faults.response.kind is FaultKind.PARTIAL_DATA:
        return with_partial_data(response)
    return apply_fault(faults.response, response, oddly_described)


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
