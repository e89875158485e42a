"""Who made a request, once the request's key was accepted.

``auth`` finds out and notes it in the request's ASGI scope. Routes are given it as a dependency;
the access log, which sees no dependencies, reads it from the scope.
"""

from dataclasses import dataclass
from uuid import UUID

from starlette.types import Scope
from structlog.contextvars import bind_contextvars

_CALLER = "pims.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client whose key was accepted.

    Attributes:
        key_id: The key's; safe to log.
        clinic_id: The one clinic that the key is for.
    """

    key_id: UUID
    clinic_id: UUID


def caller_of(scope: Scope) -> Caller | None:
    """Who made the request of ``scope``; None as long as its key was not accepted."""
    caller: Caller | None = scope.get(_CALLER)
    return caller


def note_caller(scope: Scope, caller: Caller) -> None:
    """Note who made the request of ``scope``; what this thread logs from now on names them."""
    scope[_CALLER] = caller
    name_in_logs(caller)


def name_in_logs(caller: Caller) -> None:
    """Have what this context logs from now on say whose request it is."""
    bind_contextvars(key_id=str(caller.key_id), clinic_id=str(caller.clinic_id))
