"""Keys to the REST API. The key itself is shown only when it is created."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pims_pipeline.domain.adoption.api_keys import ImportOutcome, PlannedKey
from pims_pipeline.domain.api_keys import ALL_PERMISSIONS, current_names
from pims_pipeline.operations.key_import import KeyImport
from pims_pipeline.store.api_keys import ApiKey
from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model, Timestamp


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
    wait_seconds: int | None

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
        "wait_seconds": key.wait_seconds,
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


class ImportedKeyDocument(Model):
    """What an import does with a key of a v4.0 installation; ``id`` is its id there.

    ``replace`` is true for a key that is stored there in clear.
    """

    id: str
    name: str
    prefix: str | None
    clinic: str | None
    permissions: list[str]
    is_active: bool
    expires_at: Timestamp | None
    outcome: ImportOutcome
    reason: Annotated[str | None, LEFT_OUT_IF_NONE] = None
    replace: bool

    @classmethod
    def of(cls, planned: PlannedKey, slug: str | None) -> Self:
        """Build it from the plan of a key, and the slug of its clinic."""
        key = planned.theirs
        return cls(
            id=key.id,
            name=key.shown_name,
            prefix=planned.prefix,
            clinic=slug,
            permissions=current_names(key.permissions or ()) or (ALL_PERMISSIONS,),
            is_active=key.is_active,
            expires_at=key.expires_at,
            outcome=planned.outcome,
            reason=planned.reason,
            replace=planned.must_be_replaced,
        )


class KeyImportDocument(Model):
    """What an import did, or would do: counts, and each key."""

    dry_run: bool
    imported: int
    updated: int
    unchanged: int
    left_out: int
    keys: list[ImportedKeyDocument]

    @classmethod
    def of(cls, done: KeyImport, *, dry_run: bool) -> Self:
        """Build it from an import."""
        counts = Counter(each.outcome for each in done.keys)
        return cls(
            dry_run=dry_run,
            keys=[ImportedKeyDocument.of(each, done.slug_of(each)) for each in done.keys],
            **{outcome.value: counts[outcome] for outcome in ImportOutcome},
        )
