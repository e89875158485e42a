"""What is written to the application's row of a case, in mode ``live``.

Pure. Only what the v4.0 service owned is ever written: the time, ``status`` and ``type`` where no
one has changed them, three keys of ``metadata``, and the patient's names. A column that joins them
is added here. Which rows are read, and how they are written, belongs in ``store/v4``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from pims_pipeline.domain.adoption.application.metadata import MetadataChange, metadata_change
from pims_pipeline.domain.adoption.application.sides import (
    ApplicationRow,
    LastWrite,
    RowRules,
    SyncedCase,
)
from pims_pipeline.domain.adoption.identities import external_id_of
from pims_pipeline.domain.adoption.importing import facts_of_appointment, is_retired
from pims_pipeline.domain.adoption.v4 import Layout, V4Patient
from pims_pipeline.domain.records.cases import CaseStatus, plain_word


class RowKind(StrEnum):
    """What happens to a row of the application."""

    CREATED = "created"
    UPDATED = "updated"
    RETIRED = "retired"
    RESTORED = "restored"


class LeftOut(StrEnum):
    """Why a case is not written.

    Attributes:
        GONE: Its row was there, and someone deleted it.
        FOREIGN: The row with its id is of another clinic or appointment.
        UNGUARDED: It is retired here, but not by a reconciliation of ours, whose deletion guard
            it would have had to pass.
    """

    GONE = "gone"
    FOREIGN = "foreign"
    UNGUARDED = "unguarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWrite:
    """What is written for one case.

    Attributes:
        values: By column of ``cases``, in the words of this module.
        patient: By column of ``patients``.
        is_new_patient: Whether the row in ``patients`` is inserted.
        metadata: What changes in the keys of ``metadata``.
        left: What the row then holds of ours.
    """

    case: SyncedCase
    kind: RowKind
    values: Mapping[str, Any] = field(repr=False)
    patient: Mapping[str, str] = field(repr=False)
    is_new_patient: bool
    patient_id: str | None
    metadata: MetadataChange
    left: LastWrite

    @property
    def columns(self) -> list[str]:
        """What changes, by name: columns, keys of the metadata, and the patient's columns."""
        return sorted(
            [*self.values, *self.metadata.keys, *(f"patients.{name}" for name in self.patient)]
        )


@dataclass(frozen=True, slots=True)
class RowsPlan:
    """What is written for some cases; others are ``unchanged`` or left out."""

    writes: tuple[RowWrite, ...]
    left_out: Mapping[LeftOut, tuple[UUID, ...]]
    unchanged: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written."""
        return not self.writes


def plan_rows(
    cases: Iterable[SyncedCase], rows: Mapping[UUID, ApplicationRow], rules: RowRules
) -> RowsPlan:
    """What is written for ``cases``; planned again after it is written, it is empty.

    Args:
        cases: Ours.
        rows: Theirs by id, those of the cases that have one.
        rules: What their rows can hold.
    """
    writes: list[RowWrite] = []
    left_out: dict[LeftOut, list[UUID]] = {}
    unchanged = 0
    for case in cases:
        decided = _decide(case, rows.get(case.row_id), rules)
        if isinstance(decided, RowWrite):
            writes.append(decided)
        elif decided is None:
            unchanged += 1
        else:
            left_out.setdefault(decided, []).append(case.id)
    return RowsPlan(
        tuple(writes), {why: tuple(ids) for why, ids in sorted(left_out.items())}, unchanged
    )


def _decide(
    case: SyncedCase, row: ApplicationRow | None, rules: RowRules
) -> RowWrite | LeftOut | None:
    if row is None:
        if case.was_there:
            return LeftOut.GONE
        is_wanted = case.is_landed and case.retirement is None
        return _created(case, rules) if is_wanted else None
    if row.clinic_id != rules.clinic_id or row.appointment_id != case.appointment_id:
        return LeftOut.FOREIGN
    if case.retirement is not None and not case.is_guarded and not _has_mark(row):
        return LeftOut.UNGUARDED
    if not case.is_landed and case.retirement is None:
        return None
    return _updated(case, row, rules)


def _created(case: SyncedCase, rules: RowRules) -> RowWrite:
    values: dict[str, Any] = {
        **_times(case, rules),
        **_names(case, rules, also_empty=True),
        "external_id": _external_id(case, rules),
        "visibility": case.visibility,
    }
    if _can_hold(case.status, rules.statuses):
        values["status"] = case.status
    if _can_hold(case.case_type, rules.case_types):
        values["case_type"] = case.case_type
    return RowWrite(
        case=case,
        kind=RowKind.CREATED,
        values=values,
        patient=_patient(case, rules, also_empty=True),
        is_new_patient=rules.patient_columns is not None,
        patient_id=None,
        metadata=metadata_change(
            case.facts, {}, case.appointment_id, case.consultation, None, drops=False
        ),
        left=LastWrite(values.get("status"), values.get("case_type")),
    )


def _updated(case: SyncedCase, row: ApplicationRow, rules: RowRules) -> RowWrite | None:
    status, case_type = _owned_values(case, row, rules)
    values, patient = dict[str, Any](), dict[str, str]()
    if case.is_landed:
        values = {
            name: value
            for name, value in {**_times(case, rules), **_names(case, rules)}.items()
            if value != _stored(row, name)
        }
        patient = _changed_patient(case, row, rules)
    if status is not None and status != row.status:
        values["status"] = status
    if case_type is not None and case_type != row.case_type:
        values["case_type"] = case_type
    metadata = _metadata(case, row, patient, values) if row.has_metadata else MetadataChange()
    is_new_patient = row.patient is None and case.is_landed and rules.patient_columns is not None
    if not (values or patient or metadata.keys or is_new_patient):
        return None
    return RowWrite(
        case=case,
        kind=_kind(metadata),
        values=values,
        patient=patient,
        is_new_patient=is_new_patient,
        patient_id=row.patient_id,
        metadata=metadata,
        left=LastWrite(status, case_type),
    )


def _metadata(
    case: SyncedCase, row: ApplicationRow, patient: Mapping[str, str], values: Mapping[str, Any]
) -> MetadataChange:
    theirs = row.service_metadata
    renamed = bool({"name", "patient_name"} & {*patient, *values}) and _is_other_name(case, row)
    change = MetadataChange()
    if case.is_landed:
        change = metadata_change(
            case.facts,
            theirs.get("pimsAppointment"),
            case.appointment_id,
            case.consultation,
            row.consultation,
            drops=renamed,
        )
    if case.retirement is not None and not _has_mark(row):
        return change.retiring(case.retirement)
    if case.retirement is None and is_retired(theirs, row.status):
        return change.restoring()
    return change


def _is_other_name(case: SyncedCase, row: ApplicationRow) -> bool:
    """Whether the row names another patient; one without a name may be the same."""
    stored = plain_word(row.patient.name if row.patient else None)
    return bool(stored) and stored != plain_word(case.patient_name)


def _kind(metadata: MetadataChange) -> RowKind:
    if metadata.mark is not None:
        return RowKind.RETIRED
    return RowKind.RESTORED if metadata.drops_mark else RowKind.UPDATED


def _has_mark(row: ApplicationRow) -> bool:
    return isinstance(mark := row.service_metadata.get("reconciliation"), Mapping) and bool(mark)


def _owned_values(
    case: SyncedCase, row: ApplicationRow, rules: RowRules
) -> tuple[str | None, str | None]:
    """The status and type that the row shall have; None where people have changed them."""
    wanted = CaseStatus.REVIEWED.value if case.retirement is not None else case.status
    owns_status, owns_type = _ownership(case, row, rules)
    return (
        wanted if owns_status and _can_hold(wanted, rules.statuses) else None,
        case.case_type if owns_type and _can_hold(case.case_type, rules.case_types) else None,
    )


def _ownership(case: SyncedCase, row: ApplicationRow, rules: RowRules) -> tuple[bool, bool]:
    """Whether status and type are as they were last written: by us, else by the v4.0 service.

    The vendor's words that the v4.0 service kept show what it wrote. After a former switch either
    of us may have written last.
    """
    last = case.last
    if last is not None and not last.is_former:
        return row.status == last.status, row.case_type == last.case_type
    facts = facts_of_appointment(row.service_metadata.get("pimsAppointment"))
    retired = is_retired(row.service_metadata, row.status)
    if facts is None:
        left = last or LastWrite(None, None)
        return retired or row.status == left.status, row.case_type == left.case_type
    meant = rules.words.meaning_of(facts["status"], facts["type"])
    return retired or row.status == meant.status, row.case_type == meant.case_type


def _can_hold(value: str, allowed: Collection[str]) -> bool:
    return not allowed or value in allowed


def _external_id(case: SyncedCase, rules: RowRules) -> str:
    is_deployed = rules.layout is Layout.DEPLOYED
    return external_id_of(case.appointment_id) if is_deployed else case.appointment_id


def _times(case: SyncedCase, rules: RowRules) -> dict[str, Any]:
    if rules.layout is Layout.DOCUMENTED:
        return {"scheduled_date": case.scheduled_date}
    return {"scheduled_at": case.scheduled_start}


def _names(case: SyncedCase, rules: RowRules, *, also_empty: bool = False) -> dict[str, Any]:
    """The names that the documented layout keeps on the case itself."""
    if rules.layout is Layout.DEPLOYED:
        return {}
    names = {"patient_name": case.patient_name, "client_name": case.client_name}
    return {
        name: _clipped(name, value, rules) for name, value in names.items() if value or also_empty
    }


def _clipped(name: str, value: str, rules: RowRules) -> str:
    """As much of the name as its column holds: one long name must not stop all other rows."""
    return value[: rules.lengths.get(name)].rstrip() if name in rules.lengths else value


def _stored(row: ApplicationRow, name: str) -> Any:
    patient = row.patient or V4Patient()
    names = {"patient_name": patient.name, "client_name": patient.owner_name}
    return names[name] if name in names else getattr(row, name)


def _patient(case: SyncedCase, rules: RowRules, *, also_empty: bool = False) -> dict[str, str]:
    """What is known of the patient, of the columns that are there; nothing is ever emptied.

    ``also_empty`` gives a new row a name in any case.
    """
    known = {
        "name": case.patient_name,
        "species": case.patient_species,
        "breed": case.patient_breed,
        "owner_name": case.client_name,
        "owner_phone": case.client_phone,
        "owner_email": case.client_email,
    }
    columns = rules.patient_columns or ()
    return {
        name: _clipped(name, value or "", rules)
        for name, value in known.items()
        if name in columns and (value or (also_empty and name == "name"))
    }


def _changed_patient(case: SyncedCase, row: ApplicationRow, rules: RowRules) -> dict[str, str]:
    stored = row.patient or V4Patient()
    return {
        name: value
        for name, value in _patient(case, rules).items()
        if value != getattr(stored, name)
    }
