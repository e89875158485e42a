"""What is written to the application's row of a case: only what the v4.0 service owned."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.application.metadata import (
    ConsultationChange,
    MetadataChange,
    StoredConsultation,
)
from pims_pipeline.domain.adoption.application.rows import LeftOut, RowKind, RowWrite, plan_rows
from pims_pipeline.domain.adoption.application.sides import (
    ApplicationRow,
    LastWrite,
    RowRules,
    SyncedCase,
)
from pims_pipeline.domain.adoption.v4 import Layout, V4Patient

CLINIC, ELSEWHERE, CASE = UUID(int=1), UUID(int=2), UUID(int=3)
NOON = datetime(2026, 3, 20, 16, tzinfo=UTC)
STATUSES = ("draft", "ongoing", "completed", "reviewed")
TYPES = ("checkup", "surgery", "emergency", "follow_up")
OWNED = {"scheduled_at", "scheduled_date", "patient_name", "client_name", "status", "case_type"}
OWNED_KEYS = {
    "metadata.pimsAppointment",
    "metadata.pimsConsultation",
    "metadata.reconciliation",
}
OWNED_OF_PATIENTS = {"name", "species", "breed", "owner_name", "owner_phone", "owner_email"}

_WORDS = st.sampled_from([None, "Confirmed", "Paid", "In progress", "odd"])
_NAMES = st.sampled_from(["", "Rex", "Bella"])
_TIMES = st.sampled_from([NOON, NOON.replace(hour=18)])
_FACTS = st.fixed_dictionaries(
    dict.fromkeys(("status", "type", "provider", "room", "reason"), _WORDS)
)
_PROVIDERS = st.one_of(_WORDS, st.fixed_dictionaries({"id": st.just(4), "name": _WORDS}))
_THEIR_WORDS = st.one_of(
    st.none(),
    st.just("text"),
    st.fixed_dictionaries(
        {},
        optional={
            "status": _WORDS,
            "appointmentType": _WORDS,
            "type": _WORDS,
            "provider": st.one_of(
                _WORDS, st.fixed_dictionaries({"id": st.just(4), "name": _WORDS})
            ),
            "providerName": _WORDS,
            "room": _WORDS,
            "reason": _WORDS,
            "more": st.just(1),
        },
    ),
)
_CONSULTATIONS = st.sampled_from(
    [None, StoredConsultation("a"), StoredConsultation("b"), StoredConsultation(None, {"id": 1})]
)
_LAST = st.one_of(
    st.none(),
    st.builds(
        LastWrite,
        st.one_of(st.none(), st.sampled_from(STATUSES)),
        st.one_of(st.none(), st.sampled_from(TYPES)),
    ),
)
CASES = st.builds(
    SyncedCase,
    id=st.just(CASE),
    row_id=st.just(CASE),
    was_there=st.booleans(),
    appointment_id=st.just("1"),
    patient_name=_NAMES,
    patient_species=st.sampled_from([None, "Canine"]),
    patient_breed=st.sampled_from([None, "Beagle"]),
    client_name=_NAMES,
    client_phone=st.sampled_from([None, "555-0100"]),
    client_email=st.sampled_from([None, "ann@example.test"]),
    scheduled_date=st.sampled_from([date(2026, 3, 20), date(2026, 3, 21)]),
    scheduled_start=_TIMES,
    status=st.sampled_from(STATUSES),
    case_type=st.sampled_from(TYPES),
    visibility=st.just("private"),
    is_landed=st.booleans(),
    facts=st.one_of(st.none(), _FACTS),
    consultation=st.sampled_from([None, StoredConsultation("a"), StoredConsultation("b")]),
    retirement=st.sampled_from([None, {"reason": "absent_twice", "deletedAt": "2026-03-20"}]),
    is_guarded=st.booleans(),
    last=_LAST,
)
ROWS = st.builds(
    ApplicationRow,
    id=st.just(CASE),
    clinic_id=st.sampled_from([CLINIC, CLINIC, CLINIC, ELSEWHERE, None]),
    appointment_id=st.sampled_from(["1", "1", "1", "2", None]),
    scheduled_at=st.one_of(st.none(), _TIMES),
    scheduled_date=st.sampled_from([None, date(2026, 3, 20)]),
    status=st.sampled_from(STATUSES),
    case_type=st.sampled_from(TYPES),
    has_metadata=st.booleans(),
    service_metadata=st.builds(
        lambda words, mark: {
            **({} if words is None else {"pimsAppointment": words}),
            **({} if mark is None else {"reconciliation": mark}),
        },
        _THEIR_WORDS,
        st.sampled_from([None, {}, {"deleted": True}, "text"]),
    ),
    consultation=_CONSULTATIONS,
    patient=st.one_of(
        st.none(),
        st.builds(V4Patient, name=st.sampled_from([None, "Rex"]), owner_name=st.just("Ann")),
    ),
    patient_id=st.just(UUID(int=9)),
)
RULES = st.builds(
    RowRules,
    layout=st.sampled_from(list(Layout)),
    clinic_id=st.just(CLINIC),
    statuses=st.sampled_from([(), STATUSES, ("draft", "reviewed")]),
    case_types=st.sampled_from([(), TYPES]),
    patient_columns=st.sampled_from([None, ("id", *sorted(OWNED_OF_PATIENTS)), ("id", "name")]),
)


def metadata_after(row: ApplicationRow, change: MetadataChange) -> dict[str, Any]:
    after = dict(row.service_metadata)
    if change.appointment:
        there = after.get("pimsAppointment")
        after["pimsAppointment"] = {
            **(there if isinstance(there, dict) else {}),
            **change.appointment,
        }
    if change.mark is not None:
        after["reconciliation"] = dict(change.mark)
    if change.drops_mark:
        after.pop("reconciliation")
    return after


def consultation_after(row: ApplicationRow, write: RowWrite) -> StoredConsultation | None:
    if write.metadata.consultation is ConsultationChange.SET:
        return write.case.consultation
    return None if write.metadata.consultation is ConsultationChange.REMOVE else row.consultation


def row_after(row: ApplicationRow, write: RowWrite) -> ApplicationRow:
    """The row as the write leaves it."""
    values = dict(write.values)
    patient = row.patient or V4Patient()
    names = {"patient_name": "name", "client_name": "owner_name"}
    changed = {names[name]: values.pop(name) for name in names if name in values} | dict(
        write.patient
    )
    return replace(
        row,
        **values,
        service_metadata=metadata_after(row, write.metadata),
        consultation=consultation_after(row, write),
        patient=replace(patient, **changed)
        if row.patient or write.is_new_patient or changed
        else None,
    )


@given(CASES, ROWS, RULES)
def test_only_what_the_service_owned_changes(
    case: SyncedCase, row: ApplicationRow, rules: RowRules
) -> None:
    for write in plan_rows([case], {row.id: row}, rules).writes:
        assert (row.clinic_id, row.appointment_id) == (CLINIC, "1")
        assert set(write.values) <= OWNED
        assert set(write.metadata.keys) <= OWNED_KEYS
        assert set(write.patient) <= OWNED_OF_PATIENTS & set(rules.patient_columns or ())
        assert write.kind is not RowKind.CREATED
        assert row.has_metadata or not write.metadata.keys
        assert all(write.patient.values())


@given(CASES, ROWS, RULES)
def test_written_again_nothing_changes(
    case: SyncedCase, row: ApplicationRow, rules: RowRules
) -> None:
    for write in plan_rows([case], {row.id: row}, rules).writes:
        again = replace(case, was_there=True, last=write.left)
        assert plan_rows([again], {row.id: row_after(row, write)}, rules).writes == ()


@given(CASES, ROWS, RULES, st.sampled_from(STATUSES), st.sampled_from(TYPES))
def test_what_people_set_after_a_write_stays(
    case: SyncedCase, row: ApplicationRow, rules: RowRules, status: str, case_type: str
) -> None:
    last = LastWrite(
        None if row.status == status else status, None if row.case_type == case_type else case_type
    )
    plan = plan_rows([replace(case, last=last)], {row.id: row}, rules)

    for write in plan.writes:
        assert "status" not in write.values
        assert "case_type" not in write.values


@given(CASES, RULES)
def test_a_row_is_made_once_and_never_for_a_retired_case(case: SyncedCase, rules: RowRules) -> None:
    plan = plan_rows([case], {}, rules)

    wanted = case.is_landed and case.retirement is None and not case.was_there
    assert [write.kind for write in plan.writes] == [RowKind.CREATED] * wanted
    assert plan.left_out == ({LeftOut.GONE: (CASE,)} if case.was_there else {})


@given(CASES, ROWS, RULES)
def test_no_row_is_retired_that_no_reconciliation_retired(
    case: SyncedCase, row: ApplicationRow, rules: RowRules
) -> None:
    for write in plan_rows([case], {row.id: row}, rules).writes:
        if write.metadata.mark is not None:
            assert case.is_guarded
            assert case.retirement is not None
