"""The caller of a request whose key was accepted.

``auth`` stores it in the request's ASGI scope. Routes get it as a dependency; the access log,
which has no dependencies, reads it from the scope.
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
        key_id: The id of the key; safe to log.
        clinic_id: The clinic of the key.
        wait_seconds: How long its requests wait for their syncs, unless they say otherwise.
    """

    key_id: UUID
    clinic_id: UUID
    wait_seconds: int | None = None


def caller_of(scope: Scope) -> Caller | None:
    """Return the caller of the request of ``scope``; None until its key is accepted."""
    caller: Caller | None = scope.get(_CALLER)
    return caller


def note_caller(scope: Scope, caller: Caller) -> None:
    """Store the caller in ``scope``, and add it to what this thread logs from now on."""
    scope[_CALLER] = caller
    name_in_logs(caller)


def name_in_logs(caller: Caller) -> None:
    """Add the caller to what this context logs from now on."""
    bind_contextvars(key_id=str(caller.key_id), clinic_id=str(caller.clinic_id))
