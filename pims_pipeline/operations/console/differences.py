"""What differs between a landed appointment and its case, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.domain.records.cases import draft_of
from pims_pipeline.domain.records.words import Words
from pims_pipeline.store.queries.console.calendar_day import CaseBeside, DayRow, LandedRecord

_FIELDS = (
    "scheduled_date",
    "scheduled_start",
    "scheduled_end",
    "patient_name",
    "patient_species",
    "client_name",
    "client_phone",
    "status",
    "case_type",
)
_MEANT = {"status": "meant_status", "case_type": "meant_type"}
_EDITED = "changed here; a sync writes it again when the vendor changes the appointment"
_KEPT = "changed here; a sync writes it again when the vendor's word gets another meaning"
_WORDS = "the clinic's words have a new meaning; the next sync of the date writes it"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that the vendor has otherwise than the case.

    Attributes:
        name: The column of the case.
        why: What explains it.
    """

    name: str
    vendor: Any
    case: Any
    why: str


def explanation_of(row: DayRow) -> str | None:
    """Why an appointment has no live case, or a case no appointment; None if both are there."""
    if row.record is None:
        return _case_alone(row.case) if row.case else None
    return _of_record(row.record, row.case)


def _retired(case: CaseBeside) -> str:
    reason = (case.retired_because or "no reason is recorded").replace("_", " ")
    return f"retired: {reason}"


def _case_alone(case: CaseBeside) -> str:
    if case.pims_id is None:
        return "created by hand; syncs leave it alone"
    if case.is_retired:
        return _retired(case)
    return "the vendor's calendar has no such appointment on this date"


def _of_record(record: LandedRecord, case: CaseBeside | None) -> str | None:
    if case is not None and case.is_retired:
        return _retired(case)
    if record.removed_at is not None:
        return "gone at the vendor"
    if record.missing_since is not None:
        return "missing from the vendor's newest listing; reconciliation decides"
    if record.appointment.left_out:
        return "left out: the clinic does not sync its room or provider"
    if case is None and record.appointment.kind is not RecordKind.APPOINTMENT:
        return f"a {record.appointment.kind.value}; it has no case"
    return "no case yet; the next sync creates it" if case is None else None


def differences_of(row: DayRow, words: Words) -> tuple[FieldDifference, ...]:
    """The fields of a live case that differ from its appointment.

    Args:
        row: An appointment and its case.
        words: What words mean at the clinic now.
    """
    record, case = row.record, row.case
    if record is None or case is None or case.is_retired:
        return ()
    if record.appointment.kind is not RecordKind.APPOINTMENT:
        return ()
    return tuple(_differences(record, case, words))


def _differences(record: LandedRecord, case: CaseBeside, words: Words) -> Iterator[FieldDifference]:
    wanted = draft_of(record.appointment, words)
    for name in _FIELDS:
        theirs, ours = getattr(wanted, name), getattr(case, name)
        # The vendor's silence about a species or phone is no difference.
        if theirs != ours and theirs is not None:
            yield FieldDifference(name, theirs, ours, _why(record, name, theirs))


def _why(record: LandedRecord, name: str, theirs: object) -> str:
    if name not in _MEANT:
        return _EDITED
    meant = getattr(record, _MEANT[name])
    return _KEPT if meant is None or meant == theirs else _WORDS
