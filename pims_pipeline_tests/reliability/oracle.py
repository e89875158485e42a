"""What must be true of a synced clinic, after every step and after undisturbed syncs.

The checks compare with the vendor's history and the users' edits, never with what the pipeline
reports. ``replay`` checks the events of cases; what happens to a clinic is in ``rules``.
"""

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange, business_date, local_to_utc
from pims_pipeline.domain.records.cases import case_id_of
from pims_pipeline.domain.records.words import CaseStatus, case_type_of
from pims_pipeline_tests.reliability.clinic.operators import UserEdit
from pims_pipeline_tests.reliability.clinic.vendor import Truth
from pims_pipeline_tests.reliability.replay import events_explain_the_cases
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic

_SYNCED_KEYS = {"appointment", "consultation", "reconciliation"}


def check(synced: SyncedClinic) -> None:
    """Check what holds after every step, whatever failed in it."""
    cases = synced.cases()
    knowledge_only_grows(synced)
    _no_existing_appointment_was_retired(synced)
    _no_appointment_left_out_got_a_case(synced)
    _no_case_is_lost_or_doubled(synced, cases)
    _receipts_balance_and_no_success_is_empty(synced)
    _users_edits_are_kept(synced, cases)
    events_explain_the_cases(synced, cases)
    _no_case_has_anything_of_another_patient(synced)


def _no_case_has_anything_of_another_patient(synced: SyncedClinic) -> None:
    """An active case has the consultation and the species of its stored appointment's patient."""
    for row in synced.rows(
        "SELECT pims_id, c.patient_species, a.payload #>> '{patient,id}' AS patient_id, "
        "c.metadata #>> '{consultation,patient,id}' AS written_for "
        "FROM pims_appointments a JOIN cases c USING (clinic_id, provider_type, pims_id) "
        "WHERE clinic_id = %(clinic_id)s "
        "AND NOT coalesce(c.metadata #>> '{reconciliation,softDeleted}' = 'true', false) "
        "AND NOT a.left_out"
    ):
        assert row.written_for in {None, row.patient_id}, f"{row.pims_id} has another's notes"
        assert row.patient_species in {None, synced.species(row.patient_id)}, row.pims_id


def knowledge_only_grows(synced: SyncedClinic) -> None:
    """No stored record was replaced by an older one, and its case agrees with it."""
    now = synced.servers.clock()
    for row in synced.rows(
        "SELECT pims_id, payload ->> 'vendorUpdatedAt' AS changed, payload ->> 'status' AS status, "
        "c.metadata #>> '{appointment,status}' AS case_status, a.scheduled_start, "
        "c.scheduled_start AS case_start, jsonb_typeof(c.metadata -> 'appointment') AS kept, "
        "coalesce(c.metadata #>> '{reconciliation,softDeleted}' = 'true', false) AS retired, "
        "a.left_out FROM pims_appointments a "
        "LEFT JOIN cases c USING (clinic_id, provider_type, pims_id) "
        "WHERE clinic_id = %(clinic_id)s AND payload ->> 'kind' = 'appointment'"
    ):
        follows = not (row.retired or row.left_out)
        if follows:
            assert row.case_start == row.scheduled_start
        if follows and row.kept == "object":
            assert row.case_status == row.status
        version = synced.version_of(row.pims_id, row.changed)
        assert version >= synced.landed.get(row.pims_id, 0), f"{row.pims_id} was overwritten"
        synced.landed[row.pims_id] = version
        gone_since = synced.known_gone.pop(row.pims_id, None)
        if row.retired:
            synced.known_gone[row.pims_id] = now
        elif gone_since is not None:
            truths = synced.truths(row.pims_id, gone_since, now)
            assert any(truth.exists for truth in truths), f"{row.pims_id} was restored"


def _no_existing_appointment_was_retired(synced: SyncedClinic) -> None:
    """Between the start and the end of a retiring phase the appointment was gone at some time.

    Or it was left out, if that is the reason.
    """
    for event in synced.rows(
        "SELECT c.pims_id, a.created_at AS began, e.occurred_at AS ended, "
        "e.changes #>> '{reason,1}' AS reason FROM case_events e "
        "JOIN cases c ON c.id = e.case_id JOIN case_sync_audits a ON a.id = e.audit_id "
        "WHERE e.clinic_id = %(clinic_id)s AND e.kind = 'soft_deleted'"
    ):
        truths = synced.truths(event.pims_id, event.began, event.ended)
        if event.reason == "left_out":
            assert not always_synced(synced, event.pims_id, event.began, event.ended)
            continue
        assert not all(truth.exists for truth in truths), (
            f"appointment {event.pims_id} always existed"
        )


def _no_appointment_left_out_got_a_case(synced: SyncedClinic) -> None:
    """While a phase made or restored a case, its appointment was synced at some time."""
    for event in synced.rows(
        "SELECT c.pims_id, a.created_at AS began, e.occurred_at AS ended FROM case_events e "
        "JOIN cases c ON c.id = e.case_id JOIN case_sync_audits a ON a.id = e.audit_id "
        "WHERE e.clinic_id = %(clinic_id)s AND e.kind IN ('created', 'restored')"
    ):
        filters = synced.filters_between(event.began, event.ended)
        truths = synced.truths(event.pims_id, event.began, event.ended)
        assert any(
            not resources.leaves_out(truth.resources) for truth in truths for resources in filters
        ), f"{event.pims_id} is left out"


def always_synced(synced: SyncedClinic, pims_id: str, since: datetime, until: datetime) -> bool:
    """Whether no choice of rooms in that time left the appointment out."""
    return not any(
        resources.leaves_out(truth.resources)
        for truth in synced.truths(pims_id, since, until)
        for resources in synced.filters_between(since, until)
    )


def _no_case_is_lost_or_doubled(synced: SyncedClinic, cases: dict[str, Any]) -> None:
    landed = synced.rows(
        "SELECT pims_id, left_out FROM pims_appointments "
        "WHERE clinic_id = %(clinic_id)s AND payload ->> 'kind' = 'appointment'"
    )
    assert {row.pims_id for row in landed if not row.left_out} <= set(cases)
    assert set(cases) <= {row.pims_id for row in landed}
    assert set(cases) <= set(synced.history)
    for pims_id, case in cases.items():
        assert case.id == case_id_of(synced.clinic.id, synced.at.name, pims_id)
    created = Counter(
        row.case_id
        for row in synced.rows(
            "SELECT case_id FROM case_events WHERE clinic_id = %(clinic_id)s AND kind = 'created'"
        )
    )
    assert created == Counter(case.id for case in cases.values())


def _receipts_balance_and_no_success_is_empty(synced: SyncedClinic) -> None:
    listings = [at for at, endpoint in synced.responses if endpoint == "listing"]
    began: dict[str, Any] = {}
    for audit in synced.rows(
        "SELECT *, cases_created + cases_updated + cases_unchanged + cases_restored "
        "+ cases_deleted + cases_enriched + cases_skipped + cases_errored + cases_held "
        "+ quarantined + cases_left_out AS fates FROM case_sync_audits "
        "WHERE clinic_id = %(clinic_id)s ORDER BY created_at"
    ):
        first = began.setdefault(audit.run_id, audit.created_at)
        assert audit.appointments_found == audit.fates
        if audit.status not in {"completed", "held"}:
            continue
        if audit.sync_type == "cases":
            assert audit.cases_errored < max(3, audit.appointments_found)
        else:
            # Its own listing, or the one that inbound fetched earlier in the same run.
            since = first if audit.sync_type == "reconciliation" else audit.created_at
            assert any(since <= at <= audit.updated_at for at in listings), "no listing was fetched"
    unexplained = synced.rows(
        "SELECT e.seq FROM case_events e JOIN case_sync_audits a ON a.id = e.audit_id "
        "WHERE e.clinic_id = %(clinic_id)s AND a.status <> 'completed'"
    )
    assert unexplained == [], "a phase that did not succeed changed cases"


def _users_edits_are_kept(synced: SyncedClinic, cases: dict[str, Any]) -> None:
    for case in cases.values():
        kept = case.metadata if isinstance(case.metadata, dict) else {}
        own = {key: value for key, value in kept.items() if key not in _SYNCED_KEYS}
        assert own == synced.foreign.get(case.id, {})
    last: dict[tuple[UUID, str], UserEdit] = {(e.case_id, e.column): e for e in synced.edits}
    for edit in last.values():
        if edit.active and _vendor_changed_nothing_since(synced, edit):
            assert getattr(cases[edit.pims_id], edit.column) == edit.value


def _vendor_changed_nothing_since(synced: SyncedClinic, edit: UserEdit) -> bool:
    truths = synced.truths(edit.pims_id, edit.since, synced.servers.clock())
    words = {word for truth in truths for word in synced.at.words_for(truth.appointment.status)}
    statuses = {edit.vendor_status, *synced.meanings_since(edit.since, words)}
    same = edit.column == "case_type" or (len(statuses) == 1 and not synced.words_were_wrong)
    kept = always_synced(synced, edit.pims_id, edit.since, synced.servers.clock())
    return same and kept and all(truth.exists for truth in truths)


def no_audit_is_in_progress(synced: SyncedClinic) -> None:
    """No audit is in progress when no run is active."""
    left = synced.rows(
        "SELECT sync_type FROM case_sync_audits "
        "WHERE clinic_id = %(clinic_id)s AND status = 'in_progress'"
    )
    assert left == []


def no_case_of_a_gone_appointment_is_active(synced: SyncedClinic, window: DateRange) -> None:
    """After a reconciliation with every lookup: no active case without its appointment.

    Except those whose retirement an operator rejected.
    """
    kept, rejected, unlisted = synced.kept(), synced.ever_rejected(), _unlisted(synced)
    for pims_id, case in synced.cases().items():
        if not case.retired and case.scheduled_date in window and pims_id not in kept:
            truth = synced.appointments[pims_id]
            is_left_out = synced.clinic.resources.leaves_out(truth.resources)
            if not truth.resources and pims_id in unlisted:
                # A lookup that names no resources does not show that there are none.
                is_left_out = False
            if is_left_out and case.id in rejected:
                continue
            assert not is_left_out, f"the case of {pims_id} should have been left out"
            assert truth.exists, f"the case of {pims_id} should have been retired"
            start = local_to_utc(truth.appointment.start, synced.clinic.zone)
            assert business_date(start, synced.clinic.zone) in window, f"{pims_id} was moved"


def _unlisted(synced: SyncedClinic) -> set[str]:
    """The appointments that the last listing lacked, or had without their identity."""
    rows = synced.rows(
        "SELECT pims_id FROM pims_appointments AS a "
        "WHERE clinic_id = %(clinic_id)s AND (missing_since IS NOT NULL OR last_seen_at < ("
        "  SELECT max(fetched_at) FROM case_sync_audits AS s "
        "  WHERE s.clinic_id = a.clinic_id AND s.status = 'completed' AND s.changed_since IS NULL"
        "    AND a.business_date BETWEEN s.window_start AND s.window_end))"
    )
    return {row.pims_id for row in rows}


def cases_equal_the_truth(synced: SyncedClinic) -> None:
    """After an undisturbed full sync the cases equal the vendor's calendar."""
    cases = synced.cases()
    appointments = synced.appointments
    leaves_out = synced.clinic.resources.leaves_out
    existing = {
        pims_id
        for pims_id, truth in appointments.items()
        if truth.exists and not leaves_out(truth.resources)
    }
    active = {pims_id for pims_id, case in cases.items() if not case.retired}
    assert existing <= active
    rejected = synced.ever_rejected()
    assert {
        pims_id
        for pims_id in active - existing - synced.kept()
        if not (cases[pims_id].id in rejected and leaves_out(appointments[pims_id].resources))
    } == set()
    assert all(cases[pims_id].status == "reviewed" or _edited(synced, cases[pims_id].id)
               for pims_id in set(cases) - active)  # fmt: skip
    dead_letters = {
        row.pims_id
        for row in synced.rows(
            "SELECT pims_id FROM sync_failures WHERE clinic_id = %(clinic_id)s "
            "AND phase = 'cases' AND resolved_at IS NULL AND next_retry_at IS NULL"
        )
    }
    for pims_id in existing:
        _case_equals(synced, cases[pims_id], appointments[pims_id])
        if pims_id not in dead_letters:
            _consultation_equals(synced, cases[pims_id], appointments[pims_id])


def _edited(synced: SyncedClinic, case_id: UUID) -> bool:
    return any(edit.case_id == case_id for edit in synced.edits)


def _case_equals(synced: SyncedClinic, case: Any, truth: Truth) -> None:
    zone, appointment = synced.clinic.zone, truth.appointment
    start = local_to_utc(appointment.start, zone)
    assert case.scheduled_start == start
    assert case.scheduled_end == synced.at.end_of(appointment, start, synced.clinic)
    assert case.scheduled_date == business_date(start, zone)
    assert case.patient_name == appointment.patient_name
    word = case.metadata["appointment"]["status"]
    assert word in synced.at.words_for(appointment.status)
    chosen = {e.value for e in synced.edits if e.case_id == case.id}
    assert CaseStatus(case.status) is synced.status_of(word) or case.status in chosen
    assert case.case_type == case_type_of(appointment.type) or case.case_type in chosen


def _consultation_equals(synced: SyncedClinic, case: Any, truth: Truth) -> None:
    appointment, notes = truth.appointment, truth.appointment.notes
    if notes is None or not synced.at.has_finished_notes(appointment):
        return
    if case.scheduled_start > synced.servers.clock():
        return
    if appointment.written_for_id != appointment.patient_id:
        return  # of another patient: ``check`` asserts that it is not on the case
    consultation = case.metadata["consultation"]
    assert consultation["consultationId"] == appointment.consultation_id
    if notes.startswith("<p>note "):
        assert notes[3:-4] in consultation["notes"].splitlines()
