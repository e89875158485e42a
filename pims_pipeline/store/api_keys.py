"""API keys as stored: by their hash alone, each for one clinic.

Operators create, list and revoke them through the table; the API, whose role may not read the
table, finds the keys that a text may be through a function of the database. ``domain/api_keys.py``
builds a key's text and defines its permissions; keys of a v4.0 installation are read in
``store/v4/api_keys.py``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    Text,
    Uuid,
    column,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from pims_pipeline.domain.adoption.api_keys import KnownKey, PlannedKey
from pims_pipeline.domain.api_keys import (
    SHORTEST_PREFIX,
    checked_permissions,
    hash_of,
    lookup_start,
    new_key,
    prefix_of,
)
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.tables.access import clinic_api_keys
from pims_pipeline.store.tables.clinics import clinics

_OWN_PREFIX = re.compile(f"[0-9A-Za-z]{{{SHORTEST_PREFIX}}}")

KeyState = Literal["active", "revoked", "expired"]

# Runs at every request: built once, with typed columns, to save compiling it.
_COLUMNS = (
    column("id", Uuid),
    column("clinic_id", Uuid),
    column("clinic_is_active", Boolean),
    column("key_hash", Text),
    column("permissions", ARRAY(Text)),
    column("is_active", Boolean),
    column("expires_at", DateTime(timezone=True)),
    column("last_used_at", DateTime(timezone=True)),
    column("wait_seconds", Integer),
)
_NAMES = ", ".join(each.name for each in _COLUMNS)
_FIND = text(
    f"SELECT {_NAMES} FROM pims_api_keys(:start)"  # noqa: S608 - names of columns
).columns(*_COLUMNS)
# Of several keys, none decides the clinic: the caller selects that of the accepted one.
_ENTER = text(
    f"SELECT {_NAMES}, CASE count(*) OVER () WHEN 1 THEN "  # noqa: S608 - as above
    "set_config('pims.clinic_id', clinic_id::text, true) END AS entered FROM pims_api_keys(:start)"
).columns(*_COLUMNS, column("entered", Text))


class UnknownApiKey(UserFacingError):
    """No API key has that prefix, id or text."""

    def __init__(self, key: str) -> None:
        # Any other text may be part of a key, so it is not quoted.
        shown = key if _OWN_PREFIX.fullmatch(key) else prefix_of(key)
        super().__init__(
            "that is not a key's prefix or id: give one that `pims keys list` shows, never a part "
            "of the key itself"
            if shown is None
            else f"unknown API key {shown!r}; `pims keys list` shows the known prefixes"
        )


class AmbiguousPrefix(UserFacingError):
    """Several API keys have that prefix."""

    def __init__(self, keys: Iterable["ApiKey"]) -> None:
        named = ", ".join(f"{key.id} ({key.name}, of {key.clinic})" for key in keys)
        super().__init__(f"several API keys have that prefix; name one by its id: {named}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key that was just made.

    Attributes:
        text: What the client sends. A secret; nothing can show it again.
    """

    id: UUID
    prefix: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as operators see it.

    Attributes:
        clinic: The slug of the clinic it is for.
        permissions: Empty for all of them.
        expires_at: From when it is refused; ``None`` for never.
        last_used_at: To the minute; ``None`` if it never was.
        wait_seconds: How long its requests wait for their syncs; ``None`` for not at all.
    """

    id: UUID
    clinic: str
    name: str
    prefix: str
    permissions: tuple[str, ...]
    is_active: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    wait_seconds: int | None

    def state_at(self, now: datetime) -> KeyState:
        """Whether the key is accepted at ``now`` (aware), or why not."""
        if not self.is_active:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApiKey:
    """What the API needs to decide whether to accept a key.

    Attributes:
        key_hash: As ``domain.api_keys.hash_of`` gives it.
        permissions: ``None`` or empty for all of them.
        wait_seconds: How long its requests wait for their syncs, unless they say otherwise.
        is_entered: Whether the transaction sees the rows of the key's clinic.
    """

    id: UUID
    clinic_id: UUID
    clinic_is_active: bool
    key_hash: str = field(repr=False)
    permissions: tuple[str, ...] | None
    is_active: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    wait_seconds: int | None
    is_entered: bool


def create_api_key(
    connection: Connection,
    clinic: Clinic,
    *,
    name: str,
    permissions: Iterable[str] = (),
    expires_at: datetime | None = None,
    wait_seconds: int | None = None,
) -> NewApiKey:
    """Make a key for the clinic.

    Args:
        connection: In a transaction.
        clinic: The one clinic the key is for.
        name: Who uses it, and for what.
        permissions: What it may do; none of them for everything.
        expires_at: From when it is refused, with a time zone; ``None`` for never.
        wait_seconds: How long its requests wait for their syncs; ``None`` for not at all.

    Raises:
        ValueError: If a permission does not exist, or ``expires_at`` has no time zone.
    """
    if expires_at is not None and expires_at.tzinfo is None:
        raise ValueError("expires_at has no time zone")
    values = {
        "clinic_id": clinic.id,
        "name": name,
        "permissions": list(checked_permissions(permissions)) or None,
        "expires_at": expires_at,
        "wait_seconds": wait_seconds,
    }
    key = _unused_key(connection)
    statement = (
        insert(clinic_api_keys)
        .values(**values, key_prefix=key.partition("_")[0], key_hash=hash_of(key))
        .returning(clinic_api_keys.c.id, clinic_api_keys.c.key_prefix)
    )
    row = connection.execute(statement).one()
    return NewApiKey(id=row.id, prefix=row.key_prefix, text=key)


def _unused_key(connection: Connection) -> str:
    """A new key whose prefix names no other key to operators; two at once may still share one."""
    while True:
        key = new_key()
        same = select(clinic_api_keys.c.id).where(
            clinic_api_keys.c.key_prefix == key.partition("_")[0]
        )
        if connection.execute(same.limit(1)).first() is None:
            return key


def replace_api_key(connection: Connection, clinic: Clinic, *, name: str) -> NewApiKey:
    """Make a key of that name that may do everything; the clinic's former one ends with that.

    Its row is used again, so that keys made at every start do not pile up.
    """
    keys, key = clinic_api_keys, new_key()
    former = (
        select(keys.c.id)
        .where(keys.c.clinic_id == clinic.id, keys.c.name == name)
        .order_by(keys.c.created_at)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        update(keys)
        .where(keys.c.id == former)
        .values(
            key_prefix=key.partition("_")[0],
            key_hash=hash_of(key),
            permissions=None,
            is_active=True,
            expires_at=None,
            last_used_at=None,
            wait_seconds=None,
            created_at=func.now(),
        )
        .returning(keys.c.id, keys.c.key_prefix)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return create_api_key(connection, clinic, name=name)
    return NewApiKey(id=row.id, prefix=row.key_prefix, text=key)


def list_api_keys(connection: Connection, clinic: Clinic | None = None) -> list[ApiKey]:
    """The keys of one clinic, or of all: by clinic, oldest first, revoked ones included."""
    keys = clinic_api_keys
    statement = (
        select(keys, clinics.c.slug)
        .join(clinics, clinics.c.id == keys.c.clinic_id)
        .order_by(clinics.c.slug, keys.c.created_at, keys.c.id)
    )
    if clinic is not None:
        statement = statement.where(keys.c.clinic_id == clinic.id)
    return [
        ApiKey(
            id=row.id,
            clinic=row.slug,
            name=row.name,
            prefix=row.key_prefix,
            permissions=tuple(row.permissions or ()),
            is_active=row.is_active,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            created_at=row.created_at,
            wait_seconds=row.wait_seconds,
        )
        for row in connection.execute(statement)
    ]


def revoke_api_key(connection: Connection, key: str) -> ApiKey:
    """Have a key refused from now on; its row stays, since requests refer to it.

    Args:
        connection: In a transaction.
        key: Its prefix, its id, or its whole text.

    Returns:
        The revoked key.

    Raises:
        UnknownApiKey: If there is no such key.
        AmbiguousPrefix: If several have that prefix.
    """
    meant = _meant(key)
    ids = set(connection.scalars(select(clinic_api_keys.c.id).where(meant)))
    found = [each for each in list_api_keys(connection) if each.id in ids]
    if not found:
        raise UnknownApiKey(key)
    if len(found) > 1:
        raise AmbiguousPrefix(found)
    connection.execute(update(clinic_api_keys).where(meant).values(is_active=False))
    return replace(found[0], is_active=False)


def _meant(key: str) -> ColumnElement[bool]:
    keys = clinic_api_keys.c
    meant = [keys.key_hash == hash_of(key)]
    if lookup_start(key) == key:
        meant.append(keys.key_prefix == key)
    with suppress(ValueError):
        meant.append(keys.id == UUID(key))
    return or_(*meant)


def find_api_keys(
    connection: Connection, start: str, *, enters: bool = False
) -> list[StoredApiKey]:
    """The keys that a text may be, refused ones included; for the API's role, and the owner.

    Args:
        connection: In a transaction if it ``enters``.
        start: See ``domain.api_keys.lookup_start``.
        enters: Whether the rest of the transaction sees the rows of the key's clinic, if there is
            one key alone. The caller must end the transaction if the key is not accepted. Of
            several keys, the caller calls ``enter_clinic`` for the accepted one.
    """
    rows = connection.execute(_ENTER if enters else _FIND, {"start": start})
    return [
        StoredApiKey(
            id=row.id,
            clinic_id=row.clinic_id,
            clinic_is_active=row.clinic_is_active,
            key_hash=row.key_hash,
            permissions=None if row.permissions is None else tuple(row.permissions),
            is_active=row.is_active,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            wait_seconds=row.wait_seconds,
            is_entered=enters and row.entered is not None,
        )
        for row in rows
    ]


def lock_api_keys(connection: Connection) -> None:
    """Keep others from adding and changing keys until the transaction ends; they may look up."""
    connection.execute(text("LOCK TABLE clinic_api_keys IN SHARE ROW EXCLUSIVE MODE"))


def known_api_keys(connection: Connection) -> list[KnownKey]:
    """All keys, as an import compares them with others."""
    keys = clinic_api_keys.c
    statement = select(
        keys.id, keys.clinic_id, keys.key_prefix, keys.key_hash, keys.is_active, keys.wait_seconds
    )
    return [
        KnownKey(
            id=row.id,
            clinic_id=row.clinic_id,
            prefix=row.key_prefix,
            key_hash=row.key_hash,
            is_active=row.is_active,
            wait_seconds=row.wait_seconds,
        )
        for row in connection.execute(statement)
    ]


def write_planned_keys(connection: Connection, planned: Iterable[PlannedKey]) -> None:
    """Store what an import adds and changes.

    Args:
        connection: In a transaction that called ``lock_api_keys`` before it read the keys.
        planned: By ``plan_key_import``.
    """
    plan = list(planned)
    new = [
        {**asdict(each.new), "permissions": each.new.permissions and list(each.new.permissions)}
        for each in plan
        if each.new is not None
    ]
    if new:
        connection.execute(insert(clinic_api_keys), new)
    changes: defaultdict[tuple[tuple[str, object], ...], list[UUID]] = defaultdict(list)
    for each in plan:
        if each.known is not None and each.revised:
            changes[tuple(sorted(each.revised.items()))].append(each.known.id)
    for values, ids in changes.items():
        changed = update(clinic_api_keys).where(clinic_api_keys.c.id.in_(ids))
        connection.execute(changed.values(**dict(values)))


def note_api_key_use(connection: Connection, key_id: UUID) -> None:
    """Note that the key was used, unless that was noted less than a minute ago."""
    connection.execute(text("SELECT pims_note_api_key_use(:key_id)"), {"key_id": key_id})
