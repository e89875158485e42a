"""Phase 1 from the vendor's calendar to rows."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.event import listen

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import QuarantinedRecord, RecordKind, Snapshot
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.sync.phases.verification import replan_inbound
from pims_pipeline_tests.providers.fake import FakeProvider
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


def test_an_appointment_becomes_a_private_case_with_the_vendor_s_data(bench: Bench) -> None:
    appointment = bench.vendor.book(
        "1", local(DAY, 9), status="Confirmed", appointment_type="Dental"
    )
    outcome = bench.inbound()
    case = bench.case("1")
    assert (case.patient_name, case.client_name) == ("Patient 1", "Client 1")
    assert (case.status, case.case_type, case.visibility) == ("draft", "surgery", "private")
    assert case.scheduled_date == DAY
    assert case.scheduled_start == appointment.scheduled_start
    assert case.metadata["appointment"]["status"] == "Confirmed"
    assert outcome.changed_case_ids == (case.id,)
    assert outcome.by_date[DAY] == Counts(found=1, created=1)


def test_the_second_sync_of_an_unchanged_calendar_writes_nothing(bench: Bench) -> None:
    for number in range(5):
        bench.vendor.book(str(number), local(DAY, 9 + number))
    bench.inbound()
    before = bench.everything()
    outcome = bench.inbound()
    assert bench.everything() == before
    assert outcome.counts == Counts(found=5, unchanged=5)
    assert outcome.changed_case_ids == ()


def test_planning_again_over_what_was_stored_changes_nothing(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.vendor.book("2", local(DAY, 10), kind=RecordKind.BLOCK)
    bench.inbound()
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty


def test_planning_again_notices_a_case_that_was_lost(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.inbound()
    bench.run("DELETE FROM cases")
    plan = replan_inbound(bench.engine, bench.clinic, WINDOW)
    assert [write.pims_id for write in plan.case_writes] == ["1"]


def test_a_moved_appointment_moves_its_case_and_records_both_times(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.inbound()
    tomorrow = DAY + timedelta(days=1)
    bench.vendor.move("1", local(tomorrow, 15))
    bench.inbound()
    assert bench.case("1").scheduled_date == tomorrow
    assert bench.events("1") == ["created", "rescheduled"]
    (event,) = bench.rows("SELECT * FROM case_events WHERE kind = 'rescheduled'")
    assert event.changes["scheduled_date"] == [DAY.isoformat(), tomorrow.isoformat()]
    assert event.run_id == "run-1"
    assert event.partition_key == f"{bench.clinic.slug}|{tomorrow}"
    assert event.source_digest is not None


def test_an_appointment_moved_in_from_outside_the_window_keeps_its_case(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY - timedelta(days=30), 9))
    bench.inbound(DateRange(DAY - timedelta(days=40), DAY - timedelta(days=20)))
    case_id = bench.case("1").id
    bench.vendor.move("1", local(DAY, 9))
    bench.inbound()
    assert bench.case("1").id == case_id


def test_a_status_set_by_a_user_is_kept_until_the_vendor_s_changes(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Confirmed")
    bench.inbound()
    bench.run("UPDATE cases SET status = 'reviewed', metadata = metadata || '{\"mine\": 1}'")
    bench.vendor.set_status("1", "not arrived")
    bench.inbound()
    assert bench.case("1").status == "reviewed"
    bench.vendor.set_status("1", "In Progress")
    bench.inbound()
    assert bench.case("1").status == "ongoing"
    assert bench.case("1").metadata["mine"] == 1


def test_a_status_set_by_a_user_during_the_sync_is_kept(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Confirmed")
    bench.inbound()
    bench.vendor.move("1", local(DAY, 11))
    bench.vendor.on_request = lambda endpoint: (
        bench.run("UPDATE cases SET status = 'completed'") if endpoint == "listing" else None
    )
    bench.inbound()
    assert bench.case("1").status == "completed"
    assert bench.events("1") == ["created", "rescheduled"]


def test_an_edit_between_read_and_write_is_planned_again(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Confirmed")
    bench.inbound()
    bench.vendor.set_status("1", "In Progress")
    edits: list[str] = []

    def edit(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FOR UPDATE" in statement and not edits:
            edits.append(statement)
            bench.run("UPDATE cases SET status = 'completed'")

    listen(bench.engine, "before_cursor_execute", edit)
    bench.inbound()
    assert len(edits) == 1
    (event,) = bench.rows("SELECT changes FROM case_events WHERE kind = 'status_changed'")
    assert event.changes["status"] == ["completed", "ongoing"]


def test_blocks_and_rosters_are_landed_and_make_no_case(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), kind=RecordKind.BLOCK)
    bench.vendor.book("2", local(DAY, 10), kind=RecordKind.ROSTER)
    outcome = bench.inbound()
    assert outcome.counts == Counts(found=2, blocked=2)
    assert bench.rows("SELECT * FROM cases") == []
    landed = bench.rows("SELECT pims_id FROM pims_appointments ORDER BY pims_id")
    assert [row.pims_id for row in landed] == ["1", "2"]


def test_a_case_created_by_a_user_never_changes(bench: Bench) -> None:
    bench.run(
        "INSERT INTO cases (clinic_id, patient_name, client_name, scheduled_date) "
        "VALUES (:clinic, 'Hand', 'Made', :day)",
        clinic=bench.clinic.id,
        day=DAY,
    )
    before = bench.rows("SELECT * FROM cases")
    bench.inbound()
    bench.reconcile()
    assert bench.rows("SELECT * FROM cases") == before


def test_an_unreadable_record_is_a_dead_letter_and_stops_no_other(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.vendor.quarantined.append(
        QuarantinedRecord(
            record_key="2",
            pims_id="2",
            business_date=DAY,
            error_class="MissingStart",
            error_message="start is missing",
        )
    )
    outcome = bench.inbound()
    assert outcome.counts == Counts(found=2, created=1, quarantined=1)
    bench.inbound()
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert (failure.record_key, failure.phase, failure.attempts) == ("2", "inbound", 2)
    bench.vendor.quarantined.clear()
    bench.inbound()
    (failure,) = bench.rows("SELECT * FROM sync_failures")
    assert failure.resolved_at is not None


def test_a_failed_listing_changes_nothing_and_is_in_the_audit(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.inbound()
    before = bench.everything()
    bench.vendor.fail_next(TransientError("asked for the calendar; got 503; try later"), "listing")
    with pytest.raises(TransientError):
        bench.inbound()
    assert bench.everything() == before
    audits = bench.rows("SELECT status, error_message FROM case_sync_audits ORDER BY created_at")
    assert [audit.status for audit in audits] == ["completed", "failed"]
    assert "503" in audits[-1].error_message


def test_an_incomplete_listing_changes_nothing(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench.inbound()
    before = bench.everything()
    bench.vendor.delete("1")
    bench.vendor.listing_complete = False
    with pytest.raises(ContractViolation, match="not complete"):
        bench.inbound()
    assert bench.everything() == before


def test_an_empty_calendar_is_no_error(bench: Bench) -> None:
    outcome = bench.inbound()
    assert outcome.counts == Counts()
    assert set(outcome.by_date) == set(WINDOW)


def test_an_older_snapshot_never_overwrites_a_newer_one(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 17))
    older = FakeProvider(bench.vendor)
    assert older.authenticate(bench.vendor.credentials)
    listing = older.fetch_appointments(WINDOW)
    bench.vendor.move("1", local(DAY, 9))
    bench.inbound()
    newer = bench.everything()

    class Late(FakeProvider):
        def fetch_appointments(self, window: DateRange) -> Snapshot:  # noqa: ARG002 - the port's signature
            return listing

    bench.context = replace(bench.context, open_provider=lambda _: Late(bench.vendor))
    outcome = bench.inbound()
    assert bench.everything() == newer
    assert outcome.counts == Counts(found=1, unchanged=1)


def test_two_concurrent_syncs_have_the_result_of_two_in_sequence(bench: Bench) -> None:
    """The second begins and ends while the first waits for its listing."""
    bench.vendor.book("1", local(DAY, 9))
    bench.inbound()
    bench.vendor.set_status("1", "In Progress")
    nested: list[str] = []

    def second(endpoint: str) -> None:
        if endpoint == "listing" and not nested:
            nested.append(endpoint)
            bench.inbound()

    bench.vendor.on_request = second
    bench.inbound()
    assert nested == ["listing"]
    assert bench.case("1").status == "ongoing"
    assert bench.events("1") == ["created", "status_changed"]


def test_an_unknown_status_makes_a_draft_and_is_listed(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), status="Waiting in car")
    outcome = bench.inbound()
    assert bench.case("1").status == "draft"
    assert outcome.unknown_statuses == ("Waiting in car",)


def test_names_in_any_script_with_emoji_are_stored_as_they_are(bench: Bench) -> None:
    appointment = bench.vendor.book("1", local(DAY, 9))
    bench.vendor.put(
        replace(appointment, patient=replace(appointment.patient, name="Mój 🐶 小白 'x' \\ \""))
    )
    bench.inbound()
    assert bench.case("1").patient_name == "Mój 🐶 小白 'x' \\ \""
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty


def test_a_day_without_appointments_still_has_its_receipt(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    outcome = bench.inbound(DateRange(DAY, DAY + timedelta(days=1)))
    assert outcome.by_date == {DAY: Counts(found=1, created=1), DAY + timedelta(days=1): Counts()}
