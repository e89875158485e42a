"""The write that updates a case from its appointment, and the changes its event records.

Pure. Which writes are needed belongs in ``inbound``; the write of a consultation belongs in
``enrichment``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from pims_pipeline.domain.records.cases import Case, CaseDraft, Changes, EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType

METADATA = "metadata"
APPOINTMENT = "metadata.appointment"
CONSULTATION = "metadata.consultation"
RECONCILIATION = "metadata.reconciliation"
PLACES = (METADATA, APPOINTMENT, CONSULTATION, RECONCILIATION)
"""The names in ``Case.damage``, and in the events that say how it was repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseWrite:
    """A case to be inserted (``created``) or updated from its appointment.

    Attributes:
        before: The case as it is now; None when it is created.
        status: None leaves the status as users have set it.
        case_type: None leaves the type as users have set it.
        digest: Of the vendor record that caused the write.
        detaches: Whether the consultation belongs to another patient or client, and is removed.
    """

    case_id: UUID
    pims_id: str
    kind: EventKind
    before: Case | None
    draft: CaseDraft
    digest: str
    status: CaseStatus | None
    case_type: CaseType | None
    detaches: bool = False

    @property
    def drops_consultation(self) -> bool:
        """Whether the write removes the consultation: it belongs to another, or is unreadable."""
        return self.detaches or (self.before is not None and CONSULTATION in self.before.damage)

    @property
    def drops_reconciliation(self) -> bool:
        """Whether the write removes the mark of a retirement, readable or not."""
        return self.before is not None and (
            self.before.soft_deleted or RECONCILIATION in self.before.damage
        )

    @property
    def changes(self) -> Changes:
        """Field by field what the write changes; for a created case, every field with a value."""
        if self.before is None:
            values = _case_values(self.draft).items()
            return {name: (None, value) for name, value in values if value is not None}
        changes = {**repairs(self.before.damage), **case_changes(self.before, self.draft)}
        if self.detaches and self.before.consultation is not None:
            changes["consultation"] = (self.before.consultation.content, None)
        return {**changes, "softDeleted": (True, False)} if self.before.soft_deleted else changes


def kind_of(changes: Changes) -> EventKind:
    """The kind of event for an update of a case with these changes."""
    if "scheduled_start" in changes or "scheduled_date" in changes:
        return EventKind.RESCHEDULED
    if "status" in changes:
        return EventKind.STATUS_CHANGED
    return EventKind.UPDATED


def repairs(damage: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The unreadable parts of a case's metadata as changes: the sync replaces them."""
    emptied = {METADATA, APPOINTMENT}
    return {place: (found, {} if place in emptied else None) for place, found in damage.items()}


def case_changes(case: Case, wanted: CaseDraft) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, JSON-ready; the vendor's words as ``appointment.…``."""
    before, after = _case_values(case), _case_values(wanted)
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}


def _case_values(case: Case | CaseDraft) -> dict[str, Any]:
    values: dict[str, Any] = {
        "patient_name": case.patient_name,
        "patient_species": case.patient_species,
        "client_name": case.client_name,
        "client_phone": case.client_phone,
        "scheduled_date": case.scheduled_date.isoformat(),
        "scheduled_start": case.scheduled_start.astimezone(UTC).isoformat(),
        "scheduled_end": case.scheduled_end.astimezone(UTC).isoformat(),
        "status": case.status.value,
        "case_type": case.case_type.value,
    }
    for name, shown_as in _FACTS.items():
        values[shown_as] = case.facts.get(name)
    return values


_FACTS = {name: f"appointment.{name}" for name in ("status", "type", "provider", "room", "reason")}
"""The vendor's words that a case keeps in ``metadata.appointment``."""
