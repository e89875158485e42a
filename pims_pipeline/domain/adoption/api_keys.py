"""Which API keys of a v4.0 installation are imported, and what becomes of each.

Pure. An import never guesses a clinic, never changes the rights of a key that is here, and never
makes one valid again; see ``plan_key_import``. Reading their keys belongs in ``store.v4.api_keys``,
the format of keys in ``domain.api_keys``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.adoption.key_problems import (
    KeyOfAnotherClinic,
    KeysBeginAlike,
    KeysNeedClinics,
    UnknownOwner,
)
from pims_pipeline.domain.api_keys import (
    LONGEST_KEY,
    LONGEST_PREFIX,
    MOST_CANDIDATES,
    SHORTEST_PREFIX,
    current_names,
)
from pims_pipeline.domain.moments import discard_future, no_later_than

SHORTEST_CLEAR_KEY = 16
"""Characters of a key in clear; of a shorter one, the prefix would show too much."""
_LONGEST_NAME = 100
_UNNAMED = "imported from v4.0"
_NO_CLINIC = "it names no clinic, and none was named for it"
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearKey:
    """What is read of a key that is stored in clear; its text stays in the database.

    Attributes:
        hash: The SHA-256 of its text, in hexadecimal.
        start: The first eight characters.
        length: Characters.
    """

    hash: str = field(repr=False)
    start: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class V4ApiKey:
    """A key as it is stored there.

    Attributes:
        id: Their id of it.
        user_id: Whose it is, where keys belong to users.
        clinic_id: Whose it is, where keys belong to clinics.
        clear: Set if its text is stored too.
        permissions: ``None`` or empty for all of them.
    """

    id: str
    name: str | None
    user_id: str | None
    clinic_id: UUID | None
    prefix: str | None
    key_hash: str | None = field(repr=False)
    clear: ClearKey | None
    permissions: tuple[str, ...] | None
    is_active: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime | None

    @property
    def shown_name(self) -> str:
        """Its name in one printable line."""
        plain = "".join(each if each.isprintable() else " " for each in self.name or "")
        return " ".join(plain.split())[:_LONGEST_NAME].rstrip() or _UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that is here already."""

    id: UUID
    clinic_id: UUID
    prefix: str
    key_hash: str = field(repr=False)
    is_active: bool
    wait_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedKey:
    """A key to store here; the attributes are columns of ``clinic_api_keys``."""

    clinic_id: UUID
    name: str
    key_prefix: str
    key_hash: str = field(repr=False)
    permissions: tuple[str, ...] | None
    is_active: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    wait_seconds: int | None


class ImportOutcome(StrEnum):
    """What an import does with a key."""

    IMPORTED = "imported"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKey:
    """What an import does with a key of theirs.

    Attributes:
        clinic_id: Whose it is here; ``None`` if it is left out before that is known.
        reason: Why it is left out or updated.
        new: Stored if it is imported.
        known: The key here, if there is one.
        revised: The values of ``known`` that change.
    """

    theirs: V4ApiKey
    outcome: ImportOutcome
    clinic_id: UUID | None = None
    reason: str | None = None
    new: ImportedKey | None = None
    known: KnownKey | None = None
    revised: Mapping[str, object] = field(default_factory=dict)

    @property
    def prefix(self) -> str | None:
        """The characters that the key is shown by, if any may be."""
        if self.theirs.clear is None:
            return self.theirs.prefix
        stored = self.new.key_prefix if self.new is not None else None
        return self.known.prefix if self.known is not None else stored

    @property
    def must_be_replaced(self) -> bool:
        """Whether its text is stored there in clear: all who could read that table know it."""
        return self.theirs.clear is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicChoice:
    """The clinics of keys that name none, as the operator says.

    Attributes:
        for_all: Of every key that the others do not name. Where keys name a clinic: the clinic
            whose keys are imported, and no other's.
        by_user: By their id of the user.
        by_key: By their id of the key; the most specific, so it takes precedence.
        leaves_others: Whether keys without a clinic are left out; otherwise they are an error.
    """

    for_all: UUID | None = None
    by_user: Mapping[str, UUID] = field(default_factory=dict)
    by_key: Mapping[str, UUID] = field(default_factory=dict)
    leaves_others: bool = False

    def covers(self, key: V4ApiKey) -> bool:
        """Whether the import is about the key at all."""
        return None in (key.clinic_id, self.for_all) or key.clinic_id == self.for_all

    def clinic_of(self, key: V4ApiKey) -> UUID | None:
        """The clinic of the key; its own, where it names one."""
        if key.clinic_id is not None:
            return key.clinic_id
        chosen = self.by_key.get(key.id) or self.by_user.get(key.user_id or "")
        return chosen or self.for_all

    def check(self, keys: Sequence[V4ApiKey]) -> None:
        """Check that the users and keys that were named exist.

        Raises:
            UnknownOwner: If one does not, which is probably a typing error.
        """
        users = {each.user_id for each in keys if each.clinic_id is None}
        ids = {each.id for each in keys if each.clinic_id is None}
        unknown = [*(set(self.by_user) - users), *(set(self.by_key) - ids)]
        if unknown:
            raise UnknownOwner(sorted(unknown))


def plan_key_import(
    theirs: Sequence[V4ApiKey],
    ours: Iterable[KnownKey],
    choice: ClinicChoice,
    *,
    clinics: Iterable[UUID],
    wait_seconds: int | None,
    now: datetime,
) -> tuple[PlannedKey, ...]:
    """What an import does with each of their keys, in their order.

    A key that is here stays as it is, but for two things: it is revoked if it was revoked there,
    and it gets ``wait_seconds`` if that is given.

    Args:
        theirs: All keys there.
        ours: All keys here.
        choice: The clinics of keys that name none.
        clinics: The clinics here, which have their ids.
        wait_seconds: How long requests with the keys wait for their syncs; ``None`` for not at
            all, or as it is.
        now: The present time, aware.

    Raises:
        UnknownOwner: If ``choice`` names a user or key that is not there.
        KeysNeedClinics: If a key names no clinic, and ``choice`` has none for it.
        KeyOfAnotherClinic: If a key belongs to two clinics.
        KeysBeginAlike: If too many keys begin with the same characters.
    """
    choice.check(theirs)
    known, here = {each.key_hash: each for each in ours}, frozenset(clinics)
    covered = [each for each in theirs if choice.covers(each)]
    kept = _kept_of_each_hash(covered)
    planned: list[PlannedKey] = []
    for key in covered:
        hash_, problem = identity_of(key)
        twin = kept.get(hash_ or "")
        if problem is None and twin is not None and twin is not key:
            _check_same_clinic(key, choice.clinic_of(key), choice.clinic_of(twin))
            problem = f"the same key as {twin.id}"
        if hash_ is None or problem is not None:
            planned.append(_left_out(key, problem or ""))
            continue
        planned.append(
            _planned(key, hash_, known.get(hash_), choice, here, wait_seconds=wait_seconds, now=now)
        )
    _check_clinics(planned, choice)
    _check_beginnings(planned, known.values())
    return tuple(planned)


def identity_of(key: V4ApiKey) -> tuple[str | None, str | None]:
    """The hash by which the key is recognized, and why it cannot be imported: one is ``None``."""
    clear, hash_ = key.clear, key.key_hash
    if clear is not None:
        if hash_ is not None and hash_ != clear.hash:
            return None, "its hash is not that of its text"
        if not SHORTEST_CLEAR_KEY <= clear.length <= LONGEST_KEY:
            return None, f"its text has not {SHORTEST_CLEAR_KEY} to {LONGEST_KEY} characters"
        return clear.hash, None
    if hash_ is None or _SHA256.fullmatch(hash_) is None:
        return None, "its hash is not a SHA-256 in hexadecimal"
    if key.prefix is None or len(key.prefix) < SHORTEST_PREFIX:
        return None, f"its prefix has less than {SHORTEST_PREFIX} characters"
    return hash_, None


def _kept_of_each_hash(keys: Iterable[V4ApiKey]) -> dict[str, V4ApiKey]:
    """Of rows with the same key, the one that decides: an active one, and of those the newest."""
    kept: dict[str, V4ApiKey] = {}
    for key in keys:
        hash_, _ = identity_of(key)
        if hash_ is not None and (hash_ not in kept or _decides(key, kept[hash_])):
            kept[hash_] = key
    return kept


def _decides(one: V4ApiKey, other: V4ApiKey) -> bool:
    if one.is_active != other.is_active:
        return one.is_active
    if one.created_at is None or other.created_at is None:
        return one.created_at is not None
    return one.created_at > other.created_at


def _planned(
    key: V4ApiKey,
    hash_: str,
    known: KnownKey | None,
    choice: ClinicChoice,
    here: frozenset[UUID],
    *,
    wait_seconds: int | None,
    now: datetime,
) -> PlannedKey:
    clinic_id = choice.clinic_of(key)
    if known is not None:
        _check_same_clinic(key, clinic_id, known.clinic_id)
        return _of_known(key, known, wait_seconds)
    if clinic_id is None:
        return _left_out(key, _NO_CLINIC)
    if clinic_id not in here:
        return _left_out(key, f"clinic {clinic_id} is not here; adopt it first")
    new = _imported(key, hash_, clinic_id, wait_seconds=wait_seconds, now=now)
    return PlannedKey(theirs=key, outcome=ImportOutcome.IMPORTED, clinic_id=clinic_id, new=new)


def _of_known(key: V4ApiKey, known: KnownKey, wait_seconds: int | None) -> PlannedKey:
    revised: dict[str, object] = {}
    reasons = []
    if known.is_active and not key.is_active:
        revised["is_active"] = False
        reasons.append("it was revoked there")
    if wait_seconds not in (None, known.wait_seconds):
        revised["wait_seconds"] = wait_seconds
        reasons.append("its requests wait for another time")
    return PlannedKey(
        theirs=key,
        outcome=ImportOutcome.UPDATED if revised else ImportOutcome.UNCHANGED,
        clinic_id=known.clinic_id,
        reason=" and ".join(reasons) or None,
        known=known,
        revised=revised,
    )


def _imported(
    key: V4ApiKey, hash_: str, clinic_id: UUID, *, wait_seconds: int | None, now: datetime
) -> ImportedKey:
    prefix = key.prefix or ""
    if key.clear is not None:
        prefix = key.clear.start
    return ImportedKey(
        clinic_id=clinic_id,
        name=key.shown_name,
        key_prefix=prefix[:LONGEST_PREFIX],
        key_hash=hash_,
        # Unknown permissions are kept: without them, a list could become the empty one.
        permissions=current_names(key.permissions) if key.permissions else None,
        is_active=key.is_active,
        expires_at=key.expires_at,
        last_used_at=discard_future(key.last_used_at, now),
        created_at=now if key.created_at is None else no_later_than(key.created_at, now),
        wait_seconds=wait_seconds,
    )


def _left_out(key: V4ApiKey, reason: str) -> PlannedKey:
    return PlannedKey(theirs=key, outcome=ImportOutcome.LEFT_OUT, reason=reason)


def _check_same_clinic(key: V4ApiKey, one: UUID | None, other: UUID | None) -> None:
    if one is not None and other is not None and one != other:
        raise KeyOfAnotherClinic(key.shown_name, key.id)


def _check_clinics(planned: Iterable[PlannedKey], choice: ClinicChoice) -> None:
    """Check that no key was left out for want of a clinic, unless that was asked for."""
    homeless = [each.theirs for each in planned if each.reason == _NO_CLINIC]
    if homeless and not choice.leaves_others:
        raise KeysNeedClinics([(each.shown_name, each.id, each.user_id) for each in homeless])


def _check_beginnings(planned: Iterable[PlannedKey], known: Iterable[KnownKey]) -> None:
    """Check that no text would have to be compared with too many keys."""
    new = [each.new.key_prefix for each in planned if each.new is not None]
    held = Counter([*new, *(each.prefix for each in known)])
    for prefix in tuple(held) if new else ():
        lengths = range(SHORTEST_PREFIX, len(prefix) + 1)
        if sum(held[prefix[:length]] for length in lengths) > MOST_CANDIDATES:
            raise KeysBeginAlike(prefix, MOST_CANDIDATES)
