"""Who calls, and whether they may: the chain of checks behind the ``X-API-Key`` header.

In this order: header present, key known, secret equal, key active, not expired, permission,
clinic. Guessing is slowed down before the database is asked. A route depends on one of two:

- ``caller: Annotated[Caller, Depends(require("sync:inbound"))]``: the key is checked before the
  route's function is called.
- ``key: ReadKey``: the key is checked in the transaction in which the route reads; see
  ``PresentedKey`` and ADR 24. For routes that read and do nothing else.

Both belong to a router whose ``route_class`` is ``GuardedRoute``. How keys are built is the
domain's business, how they are stored the store's; rows of other clinics are kept away by the
database itself.
"""

import functools
import hmac
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

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
from pims_pipeline.domain.api_keys import hash_of, permits, prefix_of
from pims_pipeline.domain.deactivation import ClinicUse, may_use
from pims_pipeline.store.api_keys import StoredApiKey, find_api_key, note_api_key_use
from pims_pipeline.store.database.engine import transaction

HEADER = "X-API-Key"
_SCHEME = "apiKey"
_NOTED_EVERY = timedelta(minutes=1)
_READING = frozenset({"GET", "HEAD"})
_NO_HASH = hash_of("")
"""Compared with when no key has the prefix, so that this takes as long."""


class UncheckedKey(Exception):
    """A route made a response without having its key checked: a fault of the route."""


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed key, as a request sent it; nobody has looked it up yet.

    It names no clinic: the one way to its clinic's rows, or to who calls, is to have it checked.

    Attributes:
        request: What sent it.
        context: The application's.
        limits: The application's.
        permissions: What it must permit, all of it.
        address: Where it was sent from.
        text: As sent.
        prefix: By which it is found.
    """

    request: Request = field(repr=False)
    context: ApiContext = field(repr=False)
    limits: Limits = field(repr=False)
    permissions: tuple[str, ...]
    address: str
    text: str = field(repr=False)
    prefix: str

    def check(self) -> Caller:
        """Who calls; asks the database in this thread.

        Raises:
            ApiError: 401, 403, 409 or 429, if the request may not be served.
            DatabaseUnavailable: If keys cannot be looked up.
        """
        with transaction(self.context.engine) as connection:
            return self._accept(connection, find_api_key(connection, self.prefix))

    @contextmanager
    def clinic_transaction(self) -> Iterator[tuple[Caller, Connection]]:
        """Who calls, and a transaction in which the API sees the rows of their clinic alone.

        Checks the key in that same transaction, which spares a thread and half of the ways to
        the database. Begin a route with it: what is found wrong with a request before it is
        shown to strangers.

        Raises:
            ApiError: As ``check``.
            DatabaseUnavailable: If the database cannot be reached, or goes away meanwhile.
        """
        with transaction(self.context.engine) as connection:
            key = find_api_key(connection, self.prefix, enters=True)
            yield self._accept(connection, key), connection

    def _accept(self, connection: Connection, key: StoredApiKey | None) -> Caller:
        now = self.context.clock()
        try:
            key = _accepted(key, self.text, now)
        except ApiError:
            self.limits.note_failure(self.address, self.prefix)
            raise
        if wait := self.limits.wait_after_call(str(key.id)):
            raise _too_many(TOO_MANY_REQUESTS, wait)
        self._check_rights(key)
        if key.last_used_at is None or key.last_used_at <= now - _NOTED_EVERY:
            note_api_key_use(connection, key.id)
        caller = Caller(key.id, key.clinic_id)
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
    """What the two dependencies have in common: the header, and what its key must permit."""

    def __init__(self, *permissions: str) -> None:
        self.permissions = permissions
        self.scheme_name = _SCHEME
        self.model = APIKey(
            **{"in": APIKeyIn.header},
            name=HEADER,
            description="Made by `pims keys create`; each is for one clinic.",
        )

    def presented(self, request: Request, context: ApiContext, limits: Limits) -> PresentedKey:
        """The key of ``request``, if it is well-formed and may be tried.

        Raises:
            ApiError: 401 or 429.
        """
        text = _key_text(request)
        prefix = prefix_of(text)
        address = request.client.host if request.client else ""
        if wait := limits.wait_after_failures(address, prefix):
            raise _too_many(TOO_MANY_FAILURES, wait)
        if prefix is None:
            # Its shape or checksum is wrong, which anybody can see: time tells nothing.
            limits.note_failure(address, prefix)
            raise ApiError(401, INVALID_KEY)
        return PresentedKey(request, context, limits, self.permissions, address, text, prefix)

    async def checked(self, request: Request, context: ApiContext, limits: Limits) -> Caller:
        """Who sent ``request``; looks the key up in another thread, unless that was done.

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
    """Gives a route who calls, once their key was checked."""

    async def __call__(self, request: Request, context: Context, limits: RateLimits) -> Caller:
        """See ``checked``."""
        return await self.checked(request, context, limits)


class KeyToCheck(_KeyDependency):
    """Gives a route the key that it checks where it reads."""

    async def __call__(
        self, request: Request, context: Context, limits: RateLimits
    ) -> PresentedKey:
        """See ``presented``."""
        return self.presented(request, context, limits)


@functools.cache
def require(*permissions: str) -> RequiredKey:
    """What a route depends on: ``caller: Annotated[Caller, Depends(require("read"))]``.

    Args:
        permissions: What the key must permit, all of it.
    """
    return RequiredKey(*permissions)


ReadKey = Annotated[PresentedKey, Depends(KeyToCheck("read"))]
"""What a route depends on that reads its clinic's rows."""


class GuardedRoute(APIRoute):
    """A route whose key is checked before anything else is found wrong with the request.

    FastAPI reads a body before it asks dependencies, and looks at parameters after them. So the
    key is checked first where there is a body, and before a problem with a parameter is shown.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        answer = super().get_route_handler()
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
                response = await answer(request)
            except RequestValidationError:
                await check(request)
                raise
            if keys and caller_of(request.scope) is None:
                raise UncheckedKey
            return response

        return handle


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
