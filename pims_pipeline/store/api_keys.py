"""API keys as stored: by their hash alone, each for one clinic.

Operators create, list and revoke them through the table; the API, whose role may not read the
table, finds one key by its prefix through a function of the database. ``domain/api_keys.py``
builds a key's text and defines its permissions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Text,
    Uuid,
    column,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from pims_pipeline.domain.api_keys import checked_permissions, hash_of, new_key
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.tables.access import clinic_api_keys
from pims_pipeline.store.tables.clinics import clinics

# Runs at every request: built once, with typed columns, to save compiling it.
KeyState = Literal["active", "revoked", "expired"]

_COLUMNS = (
    column("id", Uuid),
    column("clinic_id", Uuid),
    column("clinic_is_active", Boolean),
    column("key_hash", Text),
    column("permissions", ARRAY(Text)),
    column("is_active", Boolean),
    column("expires_at", DateTime(timezone=True)),
    column("last_used_at", DateTime(timezone=True)),
)
_NAMES = ", ".join(each.name for each in _COLUMNS)
_FIND = text(
    f"SELECT {_NAMES} FROM pims_api_key(:prefix)"  # noqa: S608 - names of columns
).columns(*_COLUMNS)
_ENTER = text(
    f"SELECT {_NAMES}, set_config('pims.clinic_id', clinic_id::text, true) AS entered "  # noqa: S608 - as above
    "FROM pims_api_key(:prefix)"
).columns(*_COLUMNS, column("entered", Text))


class UnknownApiKey(UserFacingError):
    """No API key has that prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"unknown API key {prefix!r}; `pims keys list` shows the known prefixes")


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
    """

    id: UUID
    clinic_id: UUID
    clinic_is_active: bool
    key_hash: str = field(repr=False)
    permissions: tuple[str, ...] | None
    is_active: bool
    expires_at: datetime | None
    last_used_at: datetime | None


def create_api_key(
    connection: Connection,
    clinic: Clinic,
    *,
    name: str,
    permissions: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> NewApiKey:
    """Make a key for the clinic.

    Args:
        connection: In a transaction.
        clinic: The one clinic the key is for.
        name: Who uses it, and for what.
        permissions: What it may do; none of them for everything.
        expires_at: From when it is refused, with a time zone; ``None`` for never.

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
    }
    while True:
        key = new_key()
        statement = (
            insert(clinic_api_keys)
            .values(**values, key_prefix=key.partition("_")[0], key_hash=hash_of(key))
            # The prefix is random; another key may have it all the same.
            .on_conflict_do_nothing(index_elements=["key_prefix"])
            .returning(clinic_api_keys.c.id, clinic_api_keys.c.key_prefix)
        )
        row = connection.execute(statement).one_or_none()
        if row is not None:
            return NewApiKey(id=row.id, prefix=row.key_prefix, text=key)


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
        )
        for row in connection.execute(statement)
    ]


def revoke_api_key(connection: Connection, prefix: str) -> None:
    """Have the key refused from now on; its row stays, since requests refer to it.

    Raises:
        UnknownApiKey: If no key has that prefix.
    """
    keys = clinic_api_keys
    statement = (
        update(keys).where(keys.c.key_prefix == prefix).values(is_active=False).returning(keys.c.id)
    )
    if connection.execute(statement).one_or_none() is None:
        raise UnknownApiKey(prefix)


def find_api_key(
    connection: Connection, prefix: str, *, enters: bool = False
) -> StoredApiKey | None:
    """The key that has the prefix, refused ones included; for the API's role, and the owner.

    Args:
        connection: In a transaction if it ``enters``.
        prefix: The key's.
        enters: Whether the rest of the transaction sees the rows of the key's clinic. The caller
            must end the transaction if the key is not accepted.
    """
    row = connection.execute(_ENTER if enters else _FIND, {"prefix": prefix}).one_or_none()
    if row is None:
        return None
    return StoredApiKey(
        id=row.id,
        clinic_id=row.clinic_id,
        clinic_is_active=row.clinic_is_active,
        key_hash=row.key_hash,
        permissions=None if row.permissions is None else tuple(row.permissions),
        is_active=row.is_active,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def note_api_key_use(connection: Connection, key_id: UUID) -> None:
    """Note that the key was used, unless that was noted less than a minute ago."""
    connection.execute(text("SELECT pims_note_api_key_use(:key_id)"), {"key_id": key_id})
