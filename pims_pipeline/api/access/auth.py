"""Authentication: the checks of the ``X-API-Key`` header.

In this order: header present, key known, secret equal, key active, not expired, permission,
clinic. Failed attempts are limited before anything is hashed or the database is queried. A text is
compared with every key that it may be, each in constant time. A route depends on one of two:

- ``caller: Annotated[Caller, Depends(require("sync:inbound"))]``: the key is checked before the
  route's function is called.
- ``key: ReadKey``: the key is checked in the transaction in which the route reads; see
  ``PresentedKey`` and ADR 24. Only for routes that read.

Both need a router whose ``route_class`` is ``GuardedRoute``. The format of keys belongs in
``domain.api_keys``, their rows in ``store.api_keys``; row-level security hides other clinics.
"""

import functools
import hmac
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from anyio import from_thread
from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from sqlalchemy import Connection

from pims_pipeline.api.access.caller import Caller, caller_of, name_in_logs, note_caller
from pims_pipeline.api.access.rate_limit import Limits
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dependencies import Context, RateLimits
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
from pims_pipeline.api.services import services_of
from pims_pipeline.domain.api_keys import READ, hash_of, lookup_start, permits
from pims_pipeline.domain.deactivation import ClinicUse, may_use
from pims_pipeline.store.api_keys import StoredApiKey, find_api_keys, note_api_key_use
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import enter_clinic

HEADER = "X-API-Key"
_SCHEME = "apiKey"
_NOTED_EVERY = timedelta(minutes=1)
_READING = frozenset({"GET", "HEAD"})
_NO_HASH = hash_of("")
"""Compared with when no key has the prefix, so that no time is saved."""


class UncheckedKey(Exception):
    """A route responded without checking its key: a bug in the route."""


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A text of a request that may be a key, not yet looked up.

    It names no clinic: call ``check`` or ``clinic_transaction`` to get the caller.

    Attributes:
        request: The request that sent it.
        context: The application's.
        limits: The application's.
        permissions: All permissions that it must have.
        address: The address of the client.
        text: As sent.
        start: Its first characters, which find it.
    """

    request: Request = field(repr=False)
    context: ApiContext = field(repr=False)
    limits: Limits = field(repr=False)
    permissions: tuple[str, ...]
    address: str
    text: str = field(repr=False)
    start: str = field(repr=False)

    def requiring(self, *permissions: str) -> "PresentedKey":
        """Return the same key, which must have these permissions too."""
        return replace(self, permissions=(*self.permissions, *permissions))

    def check(self) -> Caller:
        """Return the caller; queries the database in this thread.

        Raises:
            ApiError: 401, 403, 409 or 429, if the request may not be served.
            DatabaseUnavailable: If keys cannot be looked up.
        """
        with transaction(self.context.engine) as connection:
            return self._accept(connection, self._known(find_api_keys(connection, self.start)))

    @contextmanager
    def clinic_transaction(self) -> Iterator[tuple[Caller, Connection]]:
        """Yield the caller, and a transaction that sees only the rows of the caller's clinic.

        Checks the key in the same transaction, which saves a thread and half of the round trips.
        Begin a route with it: an error raised earlier is shown to clients without a valid key.

        Raises:
            ApiError: As ``check``.
            DatabaseUnavailable: If the database cannot be reached, or the connection is lost.
        """
        with self._entered() as (key, connection):
            yield self._accept(connection, key), connection

    @contextmanager
    def still_permitted(self) -> Iterator[Connection]:
        """Yield another transaction of the caller's clinic, after a wait; checks the key again.

        It may have been revoked, or may permit less by now. It is the same call, so that it counts
        no second time.

        Raises:
            ApiError: As ``check``, but for 429.
            DatabaseUnavailable: As ``clinic_transaction``.
        """
        with self._entered() as (key, connection):
            self._check_rights(key)
            yield connection

    def has_left(self) -> bool:
        """Whether the client has closed its connection; to be called in the thread of a route."""
        return from_thread.run(self.request.is_disconnected)

    @contextmanager
    def _entered(self) -> Iterator[tuple[StoredApiKey, Connection]]:
        with transaction(self.context.engine) as connection:
            key = self._known(find_api_keys(connection, self.start, enters=True))
            if not key.is_entered:
                enter_clinic(connection, key.clinic_id)
            yield key, connection

    def _known(self, candidates: Sequence[StoredApiKey]) -> StoredApiKey:
        """Return the one of ``candidates`` that was sent, if it is valid.

        Raises:
            ApiError: 401 or 403.
        """
        try:
            return _accepted(candidates, self.text, self.context.clock())
        except ApiError:
            self.limits.note_failure(self.address, self.start)
            raise

    def _accept(self, connection: Connection, key: StoredApiKey) -> Caller:
        now = self.context.clock()
        if wait := self.limits.wait_after_call(str(key.id)):
            raise _too_many(TOO_MANY_REQUESTS, wait)
        self._check_rights(key)
        if key.last_used_at is None or key.last_used_at <= now - _NOTED_EVERY:
            note_api_key_use(connection, key.id)
        caller = Caller(key.id, key.clinic_id, key.wait_seconds)
        note_caller(self.request.scope, caller)
        return caller

    def _check_rights(self, key: StoredApiKey) -> None:
        for permission in self.permissions:
            if not permits(key.permissions, permission):
                raise ApiError(403, permission_denied(permission))
        use = ClinicUse.READ if self.request.method in _READING else ClinicUse.SYNC
        if not may_use(use, clinic_is_active=key.clinic_is_active):
            raise ApiError(409, INACTIVE_CLINIC)


class _KeyDependency(SecurityBase):
    """Base of the two dependencies: the header, and the permissions that its key must have."""

    def __init__(self, *permissions: str) -> None:
        self.permissions = permissions
        self.scheme_name = _SCHEME
        self.model = APIKey(
            **{"in": APIKeyIn.header},
            name=HEADER,
            description="Create one with `pims keys create`. A key belongs to one clinic.",
        )

    def presented(self, request: Request, context: ApiContext, limits: Limits) -> PresentedKey:
        """Return the key of ``request``, if it may be one and may be tried.

        Raises:
            ApiError: 401 or 429.
        """
        text = _key_text(request)
        start = lookup_start(text)
        address = request.client.host if request.client else ""
        if wait := limits.wait_after_failures(address, start):
            raise _too_many(TOO_MANY_FAILURES, wait)
        if start is None:
            # That no key is so short or long is no secret: responding early reveals nothing.
            limits.note_failure(address, start)
            raise ApiError(401, INVALID_KEY)
        return PresentedKey(request, context, limits, self.permissions, address, text, start)

    async def checked(self, request: Request, context: ApiContext, limits: Limits) -> Caller:
        """Return the caller; looks the key up in another thread, unless that was done.

        Raises:
            ApiError: 401, 403, 409 or 429, if the request may not be served.
            DatabaseUnavailable: If keys cannot be looked up.
        """
        caller = caller_of(request.scope)
        if caller is None:
            caller = await run_in_threadpool(self.presented(request, context, limits).check)
            name_in_logs(caller)
        return caller


class RequiredKey(_KeyDependency):
    """The dependency of a route that needs the caller: the key is checked first."""

    async def __call__(self, request: Request, context: Context, limits: RateLimits) -> Caller:
        """See ``checked``."""
        return await self.checked(request, context, limits)


class KeyToCheck(_KeyDependency):
    """The dependency of a route that checks the key in its own transaction."""

    async def __call__(
        self, request: Request, context: Context, limits: RateLimits
    ) -> PresentedKey:
        """See ``presented``."""
        return self.presented(request, context, limits)


@functools.cache
def require(*permissions: str) -> RequiredKey:
    """Return the dependency of a route: ``caller: Annotated[Caller, Depends(require("read"))]``.

    Args:
        permissions: All permissions that the key must have.
    """
    return RequiredKey(*permissions)


ReadKey = Annotated[PresentedKey, Depends(KeyToCheck(READ))]
"""The dependency of a route that only reads its clinic's rows."""


class GuardedRoute(APIRoute):
    """A route that checks the key before it reports any other problem of the request.

    FastAPI reads the body before it resolves dependencies, and validates parameters after them.
    So the key is checked first if there is a body, and before a parameter's problem is reported.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        respond = super().get_route_handler()
        calls: list[object] = [each.call for each in self.dependant.dependencies]
        keys = [call for call in calls if isinstance(call, _KeyDependency)]

        async def check(request: Request) -> None:
            services = services_of(request.app)
            for key in keys:
                await key.checked(request, services.context, services.limits)

        async def handle(request: Request) -> Response:
            if self.body_field is not None:
                await check(request)
            try:
                response = await respond(request)
            except RequestValidationError:
                await check(request)
                raise
            if keys and caller_of(request.scope) is None:
                raise UncheckedKey
            return response

        return handle


def _key_text(request: Request) -> str:
    """The key as sent, in UTF-8 or else in Latin-1; empty if the header is repeated."""
    sent = request.headers.getlist(HEADER)
    if not any(sent):
        raise ApiError(401, MISSING_KEY)
    if len(sent) != 1:
        return ""
    try:
        # The framework decodes headers as Latin-1.
        return sent[0].encode("latin-1").decode()
    except UnicodeDecodeError:
        return sent[0]


def _accepted(candidates: Sequence[StoredApiKey], text: str, now: datetime) -> StoredApiKey:
    """Return the key that ``text`` is, if it is one of ``candidates`` and valid.

    Raises:
        ApiError: 401 or 403.
    """
    sent = hash_of(text)
    # All of them, in constant time each: which one it is, or how near one came, takes no part in
    # the time.
    equal = [hmac.compare_digest(sent, each.key_hash) for each in candidates]
    if not candidates:
        hmac.compare_digest(sent, _NO_HASH)
    if True not in equal:
        raise ApiError(401, INVALID_KEY)
    key = candidates[equal.index(True)]
    if not key.is_active:
        raise ApiError(403, DISABLED_KEY)
    if key.expires_at is not None and key.expires_at <= now:
        raise ApiError(403, EXPIRED_KEY)
    return key


def _too_many(error: str, wait: int) -> ApiError:
    return ApiError(429, error, {"Retry-After": str(wait)})
