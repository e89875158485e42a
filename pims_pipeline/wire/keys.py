"""Keys to the REST API. The key itself is shown only when it is created."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pims_pipeline.domain.api_keys import ALL_PERMISSIONS
from pims_pipeline.store.api_keys import ApiKey
from pims_pipeline.wire.shape import Model, Timestamp


class KeyDocument(Model):
    """A key without its secret."""

    id: UUID
    prefix: str
    clinic: str
    name: str
    permissions: list[str]
    state: Literal["active", "revoked", "expired"]
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> Self:
        """Build it from a key, with its state at ``now``."""
        return cls(**_facts(key, now))


def _facts(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "clinic": key.clinic,
        "name": key.name,
        "permissions": key.permissions or (ALL_PERMISSIONS,),
        "state": key.state_at(now),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }


class NewKey(KeyDocument):
    """A key that was just created, with its secret."""

    key: str

    @classmethod
    def made(cls, text: str, key: ApiKey, now: datetime) -> Self:
        """Build it from the key whose full text is ``text``."""
        return cls(key=text, **_facts(key, now))


class KeyList(Model):
    """Keys, by clinic, oldest first."""

    keys: list[KeyDocument]

    @classmethod
    def of(cls, found: Iterable[ApiKey], now: datetime) -> Self:
        """Build it from stored keys, with their states at ``now``."""
        return cls(keys=[KeyDocument.of(each, now) for each in found])
