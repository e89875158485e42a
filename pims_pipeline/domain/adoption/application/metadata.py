"""What changes in the three keys of a row's ``metadata`` that the v4.0 service owned.

Pure. Values that already say the same stay as they are, whatever their form. Columns belong in
``application_rows``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pims_pipeline.domain.adoption.importing import (
    APPOINTMENT_KEY,
    CONSULTATION_KEY,
    FACT_PLACES,
    RECONCILIATION_KEY,
    words_in,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest

_OBJECTS = frozenset({"provider", "room"})
"""The words that the v4.0 service keeps as objects with a name."""


class ConsultationChange(StrEnum):
    """What happens to a row's consultation: ours is put there, or it is removed."""

    SET = "set"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class StoredConsultation:
    """A consultation of a case, here or in the application.

    Attributes:
        digest: As it is kept with the consultation; None if the v4.0 service wrote it.
        content: All of it, if it has no digest.
    """

    digest: str | None
    content: Any = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str | None:
        """The digest that it has, or would get by being imported; None if it has none."""
        if self.digest is not None or not isinstance(self.content, Mapping):
            return self.digest
        try:
            return digest(canonical_json(self.content))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """What changes in the keys.

    Attributes:
        appointment: What is put into ``pimsAppointment``, beside what is there.
        mark: The new ``reconciliation``; None if there is none.
        drops_mark: Whether ``reconciliation`` is removed.
    """

    appointment: Mapping[str, Any] = field(default_factory=dict, repr=False)
    consultation: ConsultationChange | None = None
    mark: Mapping[str, Any] | None = None
    drops_mark: bool = False

    @property
    def keys(self) -> list[str]:
        """The keys that change, as ``metadata.KEY``."""
        changed = {
            APPOINTMENT_KEY: self.appointment,
            CONSULTATION_KEY: self.consultation,
            RECONCILIATION_KEY: self.mark is not None or self.drops_mark,
        }
        return [f"metadata.{key}" for key, what in changed.items() if what]

    def retiring(self, retirement: Mapping[str, str | None]) -> "MetadataChange":
        """The same, with the mark of a retirement as the v4.0 service writes it."""
        mark = {
            "deleted": True,
            "deletedAt": retirement.get("deletedAt"),
            "reason": retirement.get("reason"),
        }
        return replace(self, mark=mark)

    def restoring(self) -> "MetadataChange":
        """The same, without the mark of a retirement."""
        return replace(self, drops_mark=True)


def metadata_change(
    facts: Mapping[str, str | None] | None,
    their_appointment: Any,
    appointment_id: str,
    ours: StoredConsultation | None,
    theirs: StoredConsultation | None,
    *,
    drops: bool,
) -> MetadataChange:
    """What changes for a case whose appointment is landed.

    Args:
        facts: The vendor's words here; None leaves theirs.
        their_appointment: Their ``pimsAppointment``.
        appointment_id: The vendor's id.
        ours: The consultation here.
        theirs: Their ``pimsConsultation``.
        drops: Whether the row gets another patient, so that a consultation of the v4.0 service
            that is not here is the former patient's. One that we wrote is removed anyway.
    """
    appointment = {} if facts is None else _words(facts, their_appointment, appointment_id)
    return MetadataChange(appointment, _consultation(ours, theirs, drops=drops))


def _consultation(
    ours: StoredConsultation | None, theirs: StoredConsultation | None, *, drops: bool
) -> ConsultationChange | None:
    if ours is not None:
        is_there = theirs is not None and theirs.fingerprint == ours.digest
        return None if is_there else ConsultationChange.SET
    if theirs is not None and (drops or theirs.digest is not None):
        return ConsultationChange.REMOVE
    return None


def _words(facts: Mapping[str, str | None], stored: Any, appointment_id: str) -> dict[str, Any]:
    if not isinstance(stored, Mapping):
        return {
            "appointmentId": appointment_id,
            **{places[0]: _form(name, facts[name]) for name, places in FACT_PLACES.items()},
        }
    known, changed = words_in(stored), dict[str, Any]()
    for name, places in FACT_PLACES.items():
        if facts[name] == known[name]:
            continue
        if facts[name] is None:
            changed |= {place: None for place in places if place in stored}
        else:
            is_text = isinstance(stored.get(places[0]), str)
            changed[places[0]] = facts[name] if is_text else _form(name, facts[name])
    return changed


def _form(name: str, word: str | None) -> Any:
    return {"name": word} if name in _OBJECTS and word is not None else word
