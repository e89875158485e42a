"""Who calls, and whether they may: the chain of checks behind the ``X-API-Key`` header.

In this order: header present, key known, secret equal, key active, not expired, permission,
clinic. Guessing is slowed down before the database is asked. How keys are built is the
domain's business, how they are stored the store's; rows of other clinics are kept away by the
database itself.
"""

import functools
import hmac
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from sqlalchemy import Connection
from starlette.types import Scope
from structlog.contextvars import bind_contextvars

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.errors import (
    DISABLED_KEY,
    EXPIRED_KEY,
    INACTIVE_CLINIC,
    INVALID_KEY,
    MISSING_KEY,
    TOO_MANY_FAILURES,
    TOO_MANY_REQUESTS,
    ApiError,
    permission_denied,
)
from pims_pipeline.api.limits import Limits
from pims_pipeline.domain.api_keys import hash_of, permits, prefix_of
from pims_pipeline.domain.deactivation import ClinicUse, may_use
from pims_pipeline.store.api_keys import StoredApiKey, find_api_key, note_api_key_use
from pims_pipeline.store.database import transaction
from pims_pipeline.store.tenancy import begun_transaction

HEADER = "X-API-Key"
_SCHEME = "apiKey"
_CALLER = "pims.caller"
_ASKS_LATER = "pims.asks_later"
_NOTED_EVERY = timedelta(minutes=1)
_READING = frozenset({"GET", "HEAD"})
_NO_HASH = hash_of("")
"""Compared with when no key has the prefix, so that this takes as long."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever's key was accepted.

    Attributes:
        key_id: The key's; safe to log.
        clinic_id: The one clinic it is for.
    """

    key_id: UUID
    clinic_id: UUID


class Guard(SecurityBase):
    """Lets requests with a key in that may do all of ``permissions``; a route's dependency."""

    def __init__(self, *permissions: str) -> None:
        self.permissions = permissions
        self.scheme_name = _SCHEME
        self.model = APIKey(
            **{"in": APIKeyIn.header},
            name=HEADER,
            description="Made by `pims keys create`; each is for one clinic.",
        )

    async def __call__(self, request: Request) -> "Caller | _AskLater":
        """The caller of ``request``, or how to find out; see ``GuardedRoute``.

        Raises:
            ApiError: 401, 403, 409 or 429, if it may not be served.
            DatabaseUnavailable: If keys cannot be looked up.
        """
        known = caller_of(request.scope)
        if known is not None:
            return known
        if _ASKS_LATER in request.scope:
            return _AskLater(self, request)
        return await self.ask(request)

    async def ask(self, request: Request) -> Caller:
        """The caller of ``request``; asks in another thread."""
        caller = await run_in_threadpool(self.admit, request)
        _bind(caller)
        return caller

    def admit(self, request: Request) -> Caller:
        """The caller of ``request``; asks the database in this thread."""
        attempt = _attempt(request)
        with transaction(attempt.context.engine) as connection:
            return self._let_in(attempt, connection, find_api_key(connection, attempt.prefix))

    @contextmanager
    def entered(self, request: Request) -> Iterator[Caller]:
        """The caller of ``request``; the block's first look at its clinic's rows is half done."""
        attempt = _attempt(request)
        with begun_transaction(attempt.context.engine) as begun:
            connection = begun.connection
            key = find_api_key(connection, attempt.prefix, enters=True)
            caller = self._let_in(attempt, connection, key)
            begun.clinic_id = caller.clinic_id
            yield caller

    def _let_in(
        self, attempt: "_Attempt", connection: Connection, key: StoredApiKey | None
    ) -> Caller:
        limits, now = attempt.limits, attempt.context.clock()
        try:
            key = _accepted(key, attempt.text, now)
        except ApiError:
            limits.note_failure(attempt.address, attempt.prefix)
            raise
        if wait := limits.wait_after_call(str(key.id)):
            raise _too_many(TOO_MANY_REQUESTS, wait)
        self._check_rights(key, attempt.request)
        if key.last_used_at is None or key.last_used_at <= now - _NOTED_EVERY:
            note_api_key_use(connection, key.id)
        caller = attempt.request.scope[_CALLER] = Caller(key.id, key.clinic_id)
        _bind(caller)
        return caller

    def _check_rights(self, key: StoredApiKey, request: Request) -> None:
        for permission in self.permissions:
            if not permits(key.permissions, permission):
                raise ApiError(403, permission_denied(permission))
        use = ClinicUse.READ if request.method in _READING else ClinicUse.SYNC
        if not may_use(use, clinic_is_active=key.clinic_is_active):
            raise ApiError(409, INACTIVE_CLINIC)


@functools.cache
def require(*permissions: str) -> Guard:
    """What a route depends on: ``caller: Annotated[Caller, Depends(require("read"))]``.

    Args:
        permissions: What the key must permit, all of it.
    """
    return Guard(*permissions)


def caller_of(scope: Scope) -> Caller | None:
    """Who made the request of ``scope``, as far as that was found out."""
    caller: Caller | None = scope.get(_CALLER)
    return caller


def _bind(caller: Caller) -> None:
    """Have what this context logs from now on say whose request it is."""
    bind_contextvars(key_id=str(caller.key_id), clinic_id=str(caller.clinic_id))


class _AskLater(NamedTuple):
    """What a route's function is given by its guard until it is in its own thread."""

    guard: Guard
    request: Request


class GuardedRoute(APIRoute):
    """A route whose key is looked at before anything else is found wrong with the request.

    Where there is a body, before it is read. Where there is none, in the thread that then runs
    the route's function: to hand work to a thread costs as much as to look a key up.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """See FastAPI."""
        super().__init__(path, _after_asking(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        answer = super().get_route_handler()
        guards = [each.call for each in self.dependant.dependencies if isinstance(each.call, Guard)]
        asks_later = self.body_field is None and not inspect.iscoroutinefunction(self.endpoint)

        async def ask(request: Request) -> None:
            for guard in guards:
                await guard.ask(request)

        async def handle(request: Request) -> Response:
            if not asks_later:
                await ask(request)
                return await answer(request)
            request.scope[_ASKS_LATER] = True
            try:
                return await answer(request)
            except RequestValidationError:
                # A stranger is not told what else is wrong.
                await ask(request)
                raise

        return handle


def _after_asking(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A route's function that looks at the key first, if nobody has."""
    if inspect.iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    def run(**values: object) -> object:
        for name, value in values.items():
            if isinstance(value, _AskLater):
                with value.guard.entered(value.request) as caller:
                    return endpoint(**{**values, name: caller})
        return endpoint(**values)

    return run


class _Attempt(NamedTuple):
    """A well-formed key, sent by somebody who may try one."""

    request: Request
    context: ApiContext
    limits: Limits
    address: str
    text: str
    prefix: str


def _attempt(request: Request) -> _Attempt:
    """What of ``request`` is to be looked up.

    Raises:
        ApiError: 401 or 429, if that needs no looking up.
    """
    state = request.app.state
    context: ApiContext = state.context
    limits: Limits = state.limits
    text = _key_text(request)
    prefix = prefix_of(text)
    address = request.client.host if request.client else ""
    if wait := limits.wait_after_failures(address, prefix):
        raise _too_many(TOO_MANY_FAILURES, wait)
    if prefix is None:
        # Its shape or checksum is wrong, which anybody can see: time tells nothing.
        limits.note_failure(address, prefix)
        raise ApiError(401, INVALID_KEY)
    return _Attempt(request, context, limits, address, text, prefix)


def _key_text(request: Request) -> str:
    """The key as sent; several at once are none."""
    sent = request.headers.getlist(HEADER)
    if not any(sent):
        raise ApiError(401, MISSING_KEY)
    return sent[0] if len(sent) == 1 else ""


def _accepted(key: StoredApiKey | None, text: str, now: datetime) -> StoredApiKey:
    """``key``, if it is what ``text`` spells, and counts.

    Raises:
        ApiError: 401 or 403.
    """
    stored = _NO_HASH if key is None else key.key_hash
    if not hmac.compare_digest(hash_of(text), stored) or key is None:
        raise ApiError(401, INVALID_KEY)
    if not key.is_active:
        raise ApiError(403, DISABLED_KEY)
    if key.expires_at is not None and key.expires_at <= now:
        raise ApiError(403, EXPIRED_KEY)
    return key


def _too_many(error: str, wait: int) -> ApiError:
    return ApiError(429, error, {"Retry-After": str(wait)})
