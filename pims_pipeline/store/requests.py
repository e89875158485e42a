"""Requests for syncs by clients of the API, and their idempotency keys.

A request is recorded before its run is launched, and gets the run's id afterwards: after a crash
in between, the run is found by its tag. What the run did is in the audits; ``queries/syncs.py``
reads both together.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Scope
from pims_pipeline.domain.requests import RequestStatus
from pims_pipeline.store.tables.syncs import idempotency_keys, sync_requests

KEY_LASTS = timedelta(hours=24)
"""How long an idempotency key is kept."""


class KeyReused(UserFacingError):
    """The idempotency key belongs to another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """A requested sync.

    Attributes:
        id: The ``syncId``.
        scope: Which phases.
        window: The business dates.
        options: The other options, by the API's names.
        status: ``launching`` until its run is known.
        run_id: The Dagster run; None while it is not known.
        created_at: Aware UTC; when it was requested.
        launched_at: Aware UTC; when its run was recorded.
    """

    id: UUID
    clinic_id: UUID
    api_key_id: UUID
    scope: Scope
    window: DateRange
    options: Mapping[str, int] = field(default_factory=dict)
    status: RequestStatus = RequestStatus.LAUNCHING
    run_id: str | None = None
    created_at: datetime
    launched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for a request, so that it may be sent again.

    Attributes:
        key: As the client chose it; kept as ``key_hash``, for it may be anything.
        request_hash: SHA-256, in hexadecimal, of what makes two requests the same.
    """

    key: str
    request_hash: str

    @property
    def key_hash(self) -> str:
        """SHA-256 of the name, in hexadecimal."""
        return hashlib.sha256(self.key.encode()).hexdigest()


class Recorded(NamedTuple):
    """The request that counts, and whether it was recorded just now."""

    request: SyncRequest
    is_new: bool


def record_request(
    connection: Connection, request: SyncRequest, key: IdempotencyKey | None = None
) -> Recorded:
    """Record that the sync is being launched, unless its key was used in the last 24 hours.

    Of concurrent transactions with one key, one records its request; the others wait for its
    commit and return that request.

    Raises:
        KeyReused: If the key was used for a request with another hash.
    """
    if key is None:
        _insert(connection, request)
        return Recorded(request, is_new=True)
    while True:
        known = _request_of_key(connection, request, key)
        if known is not None:
            return Recorded(known, is_new=False)
        _insert(connection, request)
        if _claim(connection, request, key):
            return Recorded(request, is_new=True)
        # Another transaction was faster and has committed, so it can be read now.
        remove_unlaunched(connection, request.id)


def _insert(connection: Connection, request: SyncRequest) -> None:
    connection.execute(
        insert(sync_requests).values(
            id=request.id,
            clinic_id=request.clinic_id,
            api_key_id=request.api_key_id,
            scope=request.scope,
            window_start=request.window.start,
            window_end=request.window.end,
            options=dict(request.options),
            created_at=request.created_at,
        )
    )


def _request_of_key(
    connection: Connection, request: SyncRequest, key: IdempotencyKey
) -> SyncRequest | None:
    table = idempotency_keys
    row = connection.execute(
        select(sync_requests, table.c.request_hash)
        .join(table, table.c.sync_id == sync_requests.c.id)
        .where(
            table.c.clinic_id == request.clinic_id,
            table.c.key == key.key_hash,
            table.c.expires_at > request.created_at,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != key.request_hash:
        raise KeyReused("Idempotency-Key was used with another request")
    return _request(row)


def _claim(connection: Connection, request: SyncRequest, key: IdempotencyKey) -> bool:
    """Whether the key, new or expired, now belongs to the request."""
    table = idempotency_keys
    values = {
        "request_hash": key.request_hash,
        "sync_id": request.id,
        "created_at": request.created_at,
        "expires_at": request.created_at + KEY_LASTS,
    }
    claimed = connection.execute(
        postgresql.insert(table)
        .values(clinic_id=request.clinic_id, key=key.key_hash, **values)
        .on_conflict_do_update(
            index_elements=["clinic_id", "key"],
            set_=values,
            where=table.c.expires_at <= request.created_at,
        )
        .returning(table.c.key)
    )
    return claimed.one_or_none() is not None


def record_launch(
    connection: Connection, sync_id: UUID, run_id: str, now: datetime
) -> SyncRequest | None:
    """Record which run was started for the request; returns the request as stored.

    The first run that is recorded stays. None when the request was removed before.
    """
    row = connection.execute(
        update(sync_requests)
        .where(sync_requests.c.id == sync_id, sync_requests.c.status == RequestStatus.LAUNCHING)
        .values(status=RequestStatus.LAUNCHED, run_id=run_id, launched_at=now)
        .returning(sync_requests)
    ).one_or_none()
    return _request(row) if row is not None else find_request(connection, sync_id)


def find_request(connection: Connection, sync_id: UUID) -> SyncRequest | None:
    """The request with that id, if there is one."""
    row = connection.execute(
        select(sync_requests).where(sync_requests.c.id == sync_id)
    ).one_or_none()
    return None if row is None else _request(row)


def remove_unlaunched(connection: Connection, sync_id: UUID) -> bool:
    """Delete a request whose run was not started, and its key; whether there was one."""
    removed = connection.execute(
        delete(sync_requests)
        .where(sync_requests.c.id == sync_id, sync_requests.c.status == RequestStatus.LAUNCHING)
        .returning(sync_requests.c.id)
    )
    return removed.one_or_none() is not None


def _request(row: Row[*tuple[object, ...]]) -> SyncRequest:
    return SyncRequest(
        id=row.id,
        clinic_id=row.clinic_id,
        api_key_id=row.api_key_id,
        scope=row.scope,
        window=DateRange(row.window_start, row.window_end),
        options=row.options,
        status=RequestStatus(row.status),
        run_id=row.run_id,
        created_at=row.created_at,
        launched_at=row.launched_at,
    )
