"""What holds for any consultations, fetched in any order."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.enrichment import (
    FetchedConsultation,
    plan_consultations,
    plan_enrichment,
)
from pims_pipeline.domain.records.appointments import (
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.consultations import (
    PimsConsultation,
    consultation_payload,
)
from pims_pipeline_tests.domain.memory import store_after
from pims_pipeline_tests.domain.planning.enrichment.consultations import (
    CASE_ID,
    DAY,
    MINUTE,
    POLICY,
    START,
    case,
    response,
)
from pims_pipeline_tests.domain.strategies import appointments, consultations, snapshots


@given(snapshots(max_quarantined=0), st.data())
def test_planning_after_applying_is_empty(snapshot: Snapshot, data: st.DataObject) -> None:
    store = store_after([snapshot])
    now = snapshot.fetched_at + 400 * DAY
    due = plan_enrichment(store.enrichable().values(), now, POLICY).due
    appointments = [a for a in snapshot.appointments if a.kind is RecordKind.APPOINTMENT]
    assert {each.case_id for each, _ in due} == {
        store.identify(a.appointment_id) for a in appointments if a.scheduled_start <= now
    }
    fetched = [
        FetchedConsultation(
            case_id=each.case_id,
            asked_at=now,
            consultation=data.draw(st.none() | consultations()),
            asked_for=each.appointment,
        )
        for each, _ in due
    ]
    plan = plan_consultations(store.enrichable(), fetched)
    assert set(plan.checked) == {each.case_id for each in fetched} - plan.refused
    fates = [{w.case.case_id for w in plan.writes}, plan.unchanged, plan.absent, plan.refused]
    assert sum(len(fate) for fate in fates) == len(fetched)
    store.apply_consultations(plan)
    again = plan_consultations(store.enrichable(), fetched)
    assert again.writes == ()
    # What was refused waits for its retry, as whatever could not be fetched does.
    due = plan_enrichment(store.enrichable().values(), now, POLICY).due
    assert {each.case_id for each, _ in due} == plan.refused


@given(appointments(), st.lists(st.tuples(st.integers(0, 9), consultations()), max_size=4))
def test_in_any_order_the_newest_response_wins(
    appointment: PimsAppointment, responses: list[tuple[int, PimsConsultation]]
) -> None:
    known = case(appointment=appointment)
    records = [
        (minute, replace(record, patient=appointment.patient)) for minute, record in responses
    ]
    for minute, record in records:
        asked = replace(response(record, at=START + minute * MINUTE), asked_for=appointment)
        plan = plan_consultations({CASE_ID: known}, [asked])
        known = replace(known, checked_at=plan.checked.get(CASE_ID, known.checked_at))
        for write in plan.writes:
            known = replace(known, consultation=write.metadata)
    if responses:
        latest = max(minute for minute, _ in responses)
        winner = [record for minute, record in records if minute == latest][-1]
        assert known.consultation is not None
        assert known.consultation["digest"] == digest(canonical_json(consultation_payload(winner)))
