"""Inbound between two listings: what the vendor changed, and when only a listing will do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, QuarantinedRecord, Snapshot
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.providers.port import ContractViolation, PimsError, TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import open_failures
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


@dataclass
class Changes:
    """What the vendor reports next, and what it was asked."""

    appointments: tuple[PimsAppointment, ...] = ()
    left: tuple[str, ...] = ()
    quarantined: tuple[QuarantinedRecord, ...] = ()
    error: PimsError | None = None
    are_listed: bool = True
    asked: list[datetime] = field(default_factory=list)


class ChangingProvider(FakeProvider):
    """A provider that lists changes."""

    def __init__(self, vendor: FakeVendor, changes: Changes) -> None:
        super().__init__(vendor)
        self._clock = vendor.clock
        self._changes = changes

    def changes_since(self, moment: datetime, window: DateRange) -> Snapshot | None:
        given = self._changes
        given.asked.append(moment)
        if given.error is not None:
            raise given.error
        if not given.are_listed:
            return None
        return Snapshot(
            window=window,
            appointments=given.appointments,
            quarantined=given.quarantined,
            left=given.left,
            fetched_at=self._clock(),
            proof=None,
        )


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def scheduled(bench: Bench, changes: Changes) -> Bench:
    """A clinic with three cases, listed once; its next syncs are those of a schedule."""
    for name, hour in (("a", 9), ("b", 10), ("c", 11)):
        bench.vendor.book(name, local(DAY, hour))
    bench.inbound()
    context = replace(
        bench.context,
        open_provider=lambda _: ChangingProvider(bench.vendor, changes),
        whole_listing_age=timedelta(hours=1),
    )
    return replace(bench, context=context)


def missing(bench: Bench) -> list[str]:
    rows = bench.rows("SELECT pims_id FROM pims_appointments WHERE missing_since IS NOT NULL")
    return [str(row.pims_id) for row in rows]


def test_changes_are_written_and_what_they_do_not_mention_stays(
    scheduled: Bench, changes: Changes
) -> None:
    booked = scheduled.vendor.book("d", local(DAY, 12))
    moved = scheduled.vendor.move("a", local(DAY, 15))
    changes.appointments = (booked, moved)
    listings = scheduled.vendor.listings

    outcome = scheduled.inbound()

    assert scheduled.vendor.listings == listings
    assert outcome.changed_since is not None
    assert (outcome.counts.found, outcome.counts.created, outcome.counts.updated) == (2, 1, 1)
    assert scheduled.events("d") == ["created"]
    assert scheduled.case("a").scheduled_start == moved.scheduled_start
    assert missing(scheduled) == []
    assert scheduled.inbound().changed_case_ids == ()


def test_they_begin_before_the_last_listing_however_many_came_since(
    scheduled: Bench, changes: Changes
) -> None:
    (listing,) = scheduled.rows("SELECT fetched_at FROM case_sync_audits")
    scheduled.inbound()
    scheduled.clock.forward(minutes=20)
    scheduled.inbound()

    assert changes.asked == [listing.fetched_at - timedelta(minutes=10)] * 2


def test_what_left_is_missing_and_retired_by_a_reconciliation_alone(
    scheduled: Bench, changes: Changes
) -> None:
    del scheduled.vendor.appointments["b"]
    changes.left = ("b", "never-landed")
    scheduled.inbound()

    assert missing(scheduled) == ["b"]
    assert scheduled.case("b").gone is None
    scheduled.in_run("night").reconcile()
    assert scheduled.case("b").gone == "true"


def test_a_listed_appointment_does_not_leave(scheduled: Bench, changes: Changes) -> None:
    changes.appointments, changes.left = (scheduled.vendor.appointments["a"],), ("a",)
    scheduled.inbound()

    assert missing(scheduled) == []


def test_a_restored_appointment_restores_its_case(scheduled: Bench, changes: Changes) -> None:
    gone = scheduled.vendor.appointments.pop("c")
    scheduled.in_run("night").reconcile()
    assert scheduled.case("c").gone == "true"
    changes.appointments = (scheduled.vendor.put(gone),)
    scheduled.clock.forward(minutes=5)
    scheduled.inbound()

    assert scheduled.case("c").gone is None


def test_a_reconciliation_of_the_same_run_lists_the_calendar(
    scheduled: Bench, changes: Changes
) -> None:
    del scheduled.vendor.appointments["c"]
    night = scheduled.in_run("night")
    night.inbound()
    listings = scheduled.vendor.listings
    night.reconcile()

    assert changes.asked != []
    assert scheduled.vendor.listings == listings + 1
    assert scheduled.case("c").gone == "true"


def _age(bench: Bench, _: Changes) -> Bench:
    bench.clock.forward(minutes=61)
    return bench


def _no_age(bench: Bench, _: Changes) -> Bench:
    return replace(bench, context=replace(bench.context, whole_listing_age=None))


def _zero_age(bench: Bench, _: Changes) -> Bench:
    return replace(bench, context=replace(bench.context, whole_listing_age=timedelta(0)))


def _other_rooms(bench: Bench, _: Changes) -> Bench:
    changed = bench.syncing(ResourceFilter(included=None, excluded=frozenset({"room:9"})))
    # By the clock of these tests.
    bench.run("UPDATE clinics SET updated_at = :now", now=bench.clock())
    return changed


def _other_credentials(bench: Bench, _: Changes) -> Bench:
    with transaction(bench.engine) as connection:
        fields = bench.vendor.credentials.to_mapping()
        put_credentials(connection, bench.context.vault, bench.clinic, fields)
    bench.run("UPDATE pims_credentials SET updated_at = :now", now=bench.clock())
    return bench


def _unreadable_record(bench: Bench, changes: Changes) -> Bench:
    changes.quarantined = (
        QuarantinedRecord(record_key="x", error_class="UnreadableField", error_message="odd"),
    )
    return bench


def _open_failure(bench: Bench, changes: Changes) -> Bench:
    _unreadable_record(bench, changes)
    bench.vendor.quarantined = list(changes.quarantined)
    listing = _no_age(bench, changes)
    listing.inbound()
    changes.quarantined, bench.vendor.quarantined = (), []
    return bench


def _too_many(bench: Bench, changes: Changes) -> Bench:
    changes.are_listed = False
    return bench


def _no_list(bench: Bench, changes: Changes) -> Bench:
    changes.error = ContractViolation("it is no list")
    return bench


def _failing(bench: Bench, changes: Changes) -> Bench:
    changes.error = TransientError("it failed four times")
    return bench


@pytest.mark.parametrize(
    "when",
    [
        _age,
        _no_age,
        _zero_age,
        _other_rooms,
        _other_credentials,
        _unreadable_record,
        _open_failure,
        _too_many,
        _no_list,
        _failing,
    ],
)
def test_the_calendar_is_listed(
    scheduled: Bench, changes: Changes, when: Callable[[Bench, Changes], Bench]
) -> None:
    bench = when(scheduled, changes)
    bench.vendor.book("d", local(DAY, 12))
    listings = bench.vendor.listings

    outcome = bench.inbound()

    assert outcome.changed_since is None
    assert bench.vendor.listings == listings + 1
    assert bench.events("d") == ["created"]
    with transaction(bench.engine) as connection:
        assert open_failures(connection, bench.clinic, outcome.sync_type) == []


def test_a_window_that_no_listing_covers_is_listed(scheduled: Bench) -> None:
    wider = DateRange(WINDOW.start, WINDOW.end + timedelta(days=1))

    assert scheduled.inbound(wider).changed_since is None
    assert scheduled.inbound(wider).changed_since is not None
    assert scheduled.inbound(DateRange(DAY, DAY)).changed_since is not None


def test_a_failed_listing_is_no_listing(scheduled: Bench) -> None:
    scheduled.run("UPDATE case_sync_audits SET status = 'failed'")

    assert scheduled.inbound().changed_since is None


def test_new_meanings_of_words_reach_the_other_cases(scheduled: Bench) -> None:
    scheduled.run(
        "INSERT INTO clinic_words (clinic_id, kind, word, meaning, changed_by) "
        "VALUES (:clinic_id, 'status', 'confirmed', 'ongoing', 'Sam')",
        clinic_id=scheduled.clinic.id,
    )
    outcome = scheduled.inbound()

    assert outcome.changed_since is not None
    assert len(outcome.changed_case_ids) == 3
    assert scheduled.case("a").status == "ongoing"
