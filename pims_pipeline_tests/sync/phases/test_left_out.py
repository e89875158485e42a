"""A clinic that syncs some rooms only, from the vendor's calendar to rows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.records.appointments import QuarantinedRecord, RecordKind
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.case_history import cases_deleted_by
from pims_pipeline.sync.phases.verification import (
    live_cases_deleted,
    replan_enrichment,
    replan_inbound,
    replan_reconciliation,
    unknown_statuses,
)
from pims_pipeline_tests.domain.records.test_resources import excluding, including
from pims_pipeline_tests.providers.fake import FakeProviderWithoutLookup
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local
from pims_pipeline_tests.sync.phases.held import approve, gone, reject_hold

NO_ROOM_2 = excluding("room:2")
ROOM_1 = including("room:1")


def booked(bench: Bench, *rooms: int) -> None:
    """An appointment in each of these rooms, called by its place in the list."""
    for number, room in enumerate(rooms):
        start = local(DAY, 8 + number // 4, 15 * (number % 4))
        bench.vendor.book(str(number), start, resources=(f"room:{room}",))


def all_is_well(bench: Bench) -> bool:
    """Whether the checks over stored data find nothing."""
    policy = bench.context.deletion_policy
    return (
        replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
        and replan_reconciliation(bench.engine, bench.clinic, WINDOW, policy=policy).is_empty
        and not live_cases_deleted(bench.engine, bench.clinic, WINDOW)
    )


def test_what_is_left_out_is_landed_as_such_and_makes_no_case(bench: Bench) -> None:
    booked(bench, 1, 2)
    bench = bench.syncing(NO_ROOM_2)
    outcome = bench.inbound()
    assert outcome.by_date[DAY] == Counts(found=2, created=1, left_out=1)
    assert [row.pims_id for row in bench.rows("SELECT pims_id FROM cases")] == ["0"]
    landed = bench.rows("SELECT pims_id, resources, left_out FROM pims_appointments ORDER BY 1")
    assert landed == [("0", ["room:1"], False), ("1", ["room:2"], True)]
    with transaction(bench.engine) as connection:
        (audit,) = audits_of_run(connection, "run-1")
    assert audit.counts == outcome.counts
    assert all_is_well(bench)
    before = bench.everything()
    assert bench.inbound().counts == Counts(found=2, unchanged=1, left_out=1)
    assert bench.everything() == before


def test_an_appointment_that_moves_to_a_room_left_out_is_retired_as_such_and_comes_back(
    bench: Bench,
) -> None:
    booked(bench, 1, 1, 1)
    bench = bench.syncing(NO_ROOM_2)
    bench.in_run("run-0").inbound()
    bench.vendor.move_to("1", "room:2")
    inbound, outcome = bench.in_run("run-1").inbound(), bench.in_run("run-1").reconcile()
    assert inbound.counts == Counts(found=3, unchanged=2, left_out=1)
    assert outcome.counts == Counts(found=3, unchanged=2, left_out=1)
    case = bench.case("1")
    assert (case.gone, case.status) == ("true", "reviewed")
    assert case.metadata["reconciliation"]["reason"] == "left_out"
    assert (outcome.changed_case_ids, outcome.deleted_case_ids) == ((case.id,), ())
    with transaction(bench.engine) as connection:
        assert cases_deleted_by(connection, [outcome.audit_id]) == []
    (event,) = bench.rows("SELECT changes FROM case_events WHERE kind = 'soft_deleted'")
    assert event.changes["reason"] == [None, "left_out"]
    assert bench.vendor.lookups == 0
    (landed,) = bench.rows("SELECT removed_at, left_out FROM pims_appointments WHERE pims_id = '1'")
    assert landed == (None, True)
    assert all_is_well(bench)
    bench.vendor.move_to("1", "room:1")
    assert bench.in_run("run-2").inbound().counts == Counts(found=3, unchanged=2, restored=1)
    assert (bench.case("1").gone, bench.case("1").status) == (None, "draft")
    assert bench.events("1") == ["created", "soft_deleted", "restored"]
    assert bench.in_run("run-2").reconcile().counts == Counts(found=3, unchanged=3)
    assert all_is_well(bench)


def test_a_changed_filter_is_applied_to_records_that_the_vendor_did_not_change(
    bench: Bench,
) -> None:
    booked(bench, 1, 2, 3)
    bench.in_run("all").inbound()
    bench = bench.syncing(including("room:2", "room:3"))
    assert bench.in_run("some").inbound().counts == Counts(found=3, unchanged=2, left_out=1)
    assert bench.in_run("some").reconcile().counts == Counts(found=3, unchanged=2, left_out=1)
    assert gone(bench) == ["0"]
    bench = bench.syncing(ROOM_1)
    counts = bench.in_run("others").inbound().counts
    assert counts == Counts(found=3, restored=1, left_out=2)
    bench.in_run("others").reconcile()
    assert gone(bench) == ["1", "2"]
    assert all_is_well(bench)
    bench = bench.syncing(ALL_RESOURCES)
    assert bench.in_run("again").inbound().counts == Counts(found=3, unchanged=1, restored=2)
    assert gone(bench) == []
    assert all_is_well(bench)


def test_records_of_before_the_upgrade_get_their_resources_without_a_write_to_a_case(
    bench: Bench,
) -> None:
    booked(bench, 1, 2)
    bench.inbound()
    bench.run("UPDATE pims_appointments SET resources = NULL")
    assert all_is_well(bench)
    before = bench.everything()
    assert bench.inbound().counts == Counts(found=2, unchanged=2)
    assert bench.everything() == before
    rooms = bench.rows("SELECT resources FROM pims_appointments ORDER BY pims_id")
    assert rooms == [(["room:1"],), (["room:2"],)]


def test_an_edit_of_a_user_survives_a_filter_that_was_taken_back(bench: Bench) -> None:
    booked(bench, 1)
    bench.inbound()
    bench.run("UPDATE cases SET patient_name = 'Corrected', status = 'completed'")
    before = bench.rows("SELECT * FROM cases")
    bench.syncing(NO_ROOM_2).inbound()
    bench.syncing(excluding("room:1")).inbound()
    bench.syncing(ALL_RESOURCES).inbound()
    assert bench.rows("SELECT * FROM cases") == before
    assert bench.events("0") == ["created"]


def test_a_case_follows_what_changed_while_its_appointment_was_left_out(bench: Bench) -> None:
    booked(bench, 1)
    bench.inbound()
    bench = bench.syncing(excluding("room:1"))
    bench.inbound()
    tomorrow = DAY + timedelta(days=1)
    bench.vendor.move("0", local(tomorrow, 9))
    bench.vendor.set_status("0", "In Progress")
    bench.inbound()
    assert bench.case("0").scheduled_date == DAY
    bench = bench.syncing(ALL_RESOURCES)
    bench.inbound()
    case = bench.case("0")
    assert (case.scheduled_date, case.status) == (tomorrow, "ongoing")
    assert all_is_well(bench)
    before = bench.everything()
    bench.inbound()
    assert bench.everything() == before


def test_no_consultation_is_fetched_for_what_is_left_out(bench: Bench) -> None:
    booked(bench, 1, 2)
    for name in ("0", "1"):
        bench.vendor.record_appointment(name)
    bench.inbound()
    bench = bench.syncing(NO_ROOM_2)
    bench.inbound()
    # The case of the second one is still active: reconciliation retires it.
    assert bench.enrich().counts == Counts(found=1, enriched=1)
    assert bench.vendor.consultation_fetches == 1
    plan = replan_enrichment(
        bench.engine,
        bench.clinic,
        WINDOW,
        now=bench.clock(),
        policy=bench.context.enrichment_policy,
    )
    assert plan.is_empty
    bench = bench.syncing(ALL_RESOURCES)
    bench.inbound()
    assert bench.enrich().counts == Counts(found=1, enriched=1)


def test_catching_up_neither_creates_nor_retires_by_a_new_filter(bench: Bench) -> None:
    booked(bench, 1, 2)
    bench.syncing(NO_ROOM_2).inbound()
    before = bench.everything()
    bench.syncing(ROOM_1).enrich()
    bench.syncing(ALL_RESOURCES).enrich()
    assert bench.everything() == before


def test_reconciliation_alone_retires_and_leaves_stored_data_in_order(bench: Bench) -> None:
    booked(bench, 1, 2)
    bench.in_run("inbound").inbound()
    bench = bench.syncing(NO_ROOM_2)
    bench.in_run("reconciliation").reconcile()
    assert gone(bench) == ["1"]
    assert all_is_well(bench)
    # It does not restore: inbound does.
    bench = bench.syncing(ALL_RESOURCES)
    bench.in_run("reconciliation-2").reconcile()
    assert gone(bench) == ["1"]
    assert all_is_well(bench)
    assert bench.inbound().counts.restored == 1


def test_an_appointment_deleted_while_left_out_is_deleted_and_nothing_more(bench: Bench) -> None:
    booked(bench, 1, 1)
    bench.inbound()
    bench = bench.syncing(excluding("room:1"))
    bench.in_run("run-2").inbound()
    bench.vendor.delete("0")
    outcome = bench.in_run("run-3").reconcile()
    assert outcome.counts == Counts(found=2, deleted=1, left_out=1)
    reasons = bench.rows(
        "SELECT metadata #>> '{reconciliation,reason}' AS reason FROM cases ORDER BY pims_id"
    )
    assert [row.reason for row in reasons] == ["unknown_to_vendor", "left_out"]


def test_an_appointment_that_moved_away_to_a_room_left_out_is_not_followed(bench: Bench) -> None:
    booked(bench, 1, 1)
    bench = bench.syncing(NO_ROOM_2)
    bench.in_run("run-0").inbound()
    bench.vendor.move("1", local(DAY + timedelta(days=60), 9))
    bench.vendor.move_to("1", "room:2")
    assert bench.in_run("run-1").reconcile().counts == Counts(found=2, unchanged=1, left_out=1)
    assert bench.case("1").metadata["reconciliation"]["reason"] == "left_out"
    assert all_is_well(bench)
    bench.vendor.move("1", local(DAY, 9))
    bench.vendor.move_to("1", "room:1")
    assert bench.in_run("run-2").inbound().counts.restored == 1


def test_without_lookup_no_second_listing_is_needed(bench: Bench) -> None:
    booked(bench, 1, 1)
    context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutLookup(bench.vendor)
    )
    bench = replace(bench, context=context).syncing(NO_ROOM_2)
    bench.in_run("run-0").inbound()
    bench.vendor.move_to("1", "room:2")
    bench.in_run("run-1").reconcile()
    assert gone(bench) == ["1"]


def test_a_filter_that_leaves_out_too_much_is_held_until_it_is_approved(bench: Bench) -> None:
    booked(bench, *[1] * 4, *[2] * 8)
    bench.in_run("run-0").inbound()
    bench = bench.syncing(NO_ROOM_2)
    outcome = bench.in_run("run-1").reconcile()
    assert (outcome.status, outcome.hold_reason) == (AuditStatus.HELD, "too_many_left_out")
    assert outcome.counts == Counts(found=12, unchanged=4, held=8)
    assert gone(bench) == []
    assert outcome.hold_id is not None
    approved = approve(bench.in_run("run-2"), outcome.hold_id)
    assert approved.counts == Counts(found=12, unchanged=4, left_out=8)
    assert len(gone(bench)) == 8
    assert all_is_well(bench)


def test_a_filter_that_was_a_mistake_is_taken_back_and_its_hold_closes(bench: Bench) -> None:
    booked(bench, *[1] * 12)
    bench.in_run("run-0").inbound()
    wrong = bench.syncing(including("room:9"))
    wrong.in_run("run-1").inbound()
    assert wrong.in_run("run-1").reconcile().status is AuditStatus.HELD
    right = bench.syncing(ALL_RESOURCES)
    right.in_run("run-2").inbound()
    outcome = right.in_run("run-2").reconcile()
    assert outcome.counts == Counts(found=12, unchanged=12)
    assert [row.status for row in bench.rows("SELECT status FROM reconciliation_holds")] == [
        "superseded"
    ]
    assert bench.rows("SELECT FROM case_events WHERE kind <> 'created'") == []


def test_a_rejected_hold_keeps_the_cases_and_the_checks_agree(bench: Bench) -> None:
    booked(bench, *[1] * 12)
    bench.in_run("run-0").inbound()
    bench = bench.syncing(excluding("room:1"))
    hold_id = bench.in_run("run-1").reconcile().hold_id
    assert hold_id is not None
    reject_hold(bench, hold_id)
    for run in ("run-2", "run-3"):
        bench.in_run(run).inbound()
        outcome = bench.in_run(run).reconcile()
        assert (outcome.status, outcome.kept_by_hold_id) == (AuditStatus.COMPLETED, hold_id)
        assert outcome.counts == Counts(found=12, held=12)
        assert all_is_well(bench)
    assert gone(bench) == []


def test_a_listing_that_is_not_complete_retires_nothing_by_a_filter(bench: Bench) -> None:
    booked(bench, 1, 2)
    bench.inbound()
    bench = bench.syncing(NO_ROOM_2)
    bench.vendor.listing_complete = False
    with pytest.raises(ContractViolation):
        bench.in_run("run-2").reconcile()
    assert gone(bench) == []


def test_an_unreadable_record_protects_its_case_whatever_the_filter(bench: Bench) -> None:
    booked(bench, 2, 1)
    bench.inbound()
    bench.vendor.delete("0")
    bench.vendor.quarantined.append(
        QuarantinedRecord(
            record_key="0",
            pims_id="0",
            error_class="UnreadableField",
            error_message="field 'start' is missing",
            business_date=DAY,
        )
    )
    bench = bench.syncing(NO_ROOM_2)
    bench.in_run("run-2").inbound()
    bench.in_run("run-2").reconcile()
    assert gone(bench) == []


def test_blocks_stay_blocked_and_unknown_statuses_of_others_are_not_reported(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9), kind=RecordKind.BLOCK, resources=("room:2",))
    bench.vendor.book("2", local(DAY, 10), status="gone fishing", resources=("room:2",))
    bench = bench.syncing(NO_ROOM_2)
    outcome = bench.inbound()
    assert outcome.counts == Counts(found=2, blocked=1, left_out=1)
    assert outcome.unknown_statuses == ()
    # Stored blocks are included, as ever; what is left out is not.
    assert "gone fishing" not in unknown_statuses(bench.engine, bench.clinic, WINDOW)


def test_a_vendor_without_resources_is_not_touched_by_a_filter(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 9))
    bench = bench.syncing(ROOM_1)
    assert bench.inbound().counts == Counts(found=1, created=1)


def test_the_filter_is_read_again_for_each_sync(bench: Bench) -> None:
    assert bench.clinic.resources == ALL_RESOURCES
    assert bench.syncing(ROOM_1).clinic.resources == ROOM_1
    assert bench.syncing(NO_ROOM_2).clinic.resources == NO_ROOM_2
    assert bench.syncing(ResourceFilter()).clinic.resources == ALL_RESOURCES
