"""What every provider promises of listings: whole, or not taken for whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pims_pipeline.conformance.conditions import RequestKind, VendorCondition
from pims_pipeline.conformance.connections import Connections, listed
from pims_pipeline.conformance.promises.asking import around, at, the_day
from pims_pipeline.conformance.vendor import ConditionMissing, PlayedVendor
from pims_pipeline.domain.clinics import DateRange, local_to_utc
from pims_pipeline.domain.records.appointments import RecordKind, Snapshot
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.providers.port import ContractViolation, PimsProvider, TransientError

UNSETTLED = (TransientError, ContractViolation)


class ListingPromises:
    """A listing, and what proves that it is whole."""

    def test_a_booked_appointment_is_listed_in_utc_on_its_local_date(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        late = vendor.book(at(vendor, 23))
        found = listed(connections.log_in(), the_day(vendor))[late]
        assert found.scheduled_start == local_to_utc(at(vendor, 23), vendor.clinic.zone)
        assert found.scheduled_start.utcoffset() == timedelta(0)
        assert found.scheduled_end > found.scheduled_start
        assert found.business_date == vendor.day
        assert found.kind is RecordKind.APPOINTMENT

    def test_a_listing_holds_its_window_and_no_other_date(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        inside = {vendor.book(at(vendor, 0)), vendor.book(at(vendor, 23, 30))}
        before = vendor.book(at(vendor, 23, 30, days=-1))
        after = vendor.book(at(vendor, 0, days=1))
        snapshot = connections.log_in().fetch_appointments(the_day(vendor))
        found = {each.appointment_id for each in snapshot.appointments}
        assert inside <= found
        assert not {before, after} & found
        assert {each.business_date for each in snapshot.appointments} == {vendor.day}
        assert snapshot.window == the_day(vendor)
        assert snapshot.complete

    def test_a_day_whose_appointment_was_deleted_is_a_whole_listing(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        vendor.delete(identity)
        snapshot = connections.log_in().fetch_appointments(the_day(vendor))
        assert identity not in {each.appointment_id for each in snapshot.appointments}
        assert snapshot.complete

    def test_the_longest_window_of_the_pipeline_can_be_listed(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        month = DateRange(vendor.day, vendor.day + timedelta(days=30))
        assert identity in listed(connections.log_in(), month)

    def test_a_snapshot_is_dated_before_its_request(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        before = datetime.now(UTC)
        fetched_at = provider.fetch_appointments(the_day(vendor)).fetched_at
        assert before <= fetched_at <= datetime.now(UTC)
        assert fetched_at.utcoffset() == timedelta(0)

    def test_a_listing_of_several_pages_is_whole(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        booked = _more_than_a_page(vendor)
        snapshot = connections.log_in().fetch_appointments(the_day(vendor))
        found = [each.appointment_id for each in snapshot.appointments]
        assert set(booked) <= set(found)
        assert len(set(found)) == len(found)
        assert snapshot.complete

    def test_a_listing_of_exactly_one_page_is_whole(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        booked = _more_than_a_page(vendor)
        for identity in booked[-2:]:
            vendor.delete(identity)
        snapshot = connections.log_in().fetch_appointments(the_day(vendor))
        assert set(booked[:-2]) <= {each.appointment_id for each in snapshot.appointments}
        assert snapshot.complete

    def test_a_deletion_between_two_pages_hides_no_appointment(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.LISTING_SHIFTS)
        first, *others = _more_than_a_page(vendor)
        snapshot = _listed_while(vendor, connections.log_in(), lambda: vendor.delete(first))
        if snapshot is not None and snapshot.complete:
            assert set(others) <= {each.appointment_id for each in snapshot.appointments}

    def test_a_booking_between_two_pages_doubles_and_hides_no_appointment(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.LISTING_SHIFTS)
        booked = _more_than_a_page(vendor)
        snapshot = _listed_while(vendor, connections.log_in(), lambda: vendor.book(at(vendor, 0)))
        if snapshot is not None:
            found = [each.appointment_id for each in snapshot.appointments]
            assert len(set(found)) == len(found)
            assert not snapshot.complete or set(booked) <= set(found)

    @pytest.mark.parametrize("condition", [VendorCondition.CUT_OFF, VendorCondition.TRUNCATED])
    def test_a_listing_that_is_cut_off_proves_no_absence(
        self, vendor: PlayedVendor, connections: Connections, condition: VendorCondition
    ) -> None:
        provider = connections.log_in()
        vendor.book(at(vendor, 9))
        vendor.impose(condition, RequestKind.LISTING)
        snapshot = _listed_or_not(vendor, provider)
        assert snapshot is None or not snapshot.complete

    def test_records_that_are_listed_twice_are_taken_once(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        vendor.book(at(vendor, 9))
        before = listed(provider, the_day(vendor))
        vendor.impose(VendorCondition.LISTING_DOUBLED, RequestKind.LISTING)
        snapshot = _listed_or_not(vendor, provider)
        if snapshot is not None:
            after = [each.appointment_id for each in snapshot.appointments]
            assert len(set(after)) == len(after)
            assert not snapshot.complete or set(after) == set(before)

    def test_a_record_of_another_location_never_reaches_the_clinic(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        vendor.book(at(vendor, 9))
        before = listed(provider, the_day(vendor))
        vendor.impose(VendorCondition.OTHER_LOCATION, RequestKind.LISTING)
        snapshot = _listed_or_not(vendor, provider)
        if snapshot is not None:
            assert {each.appointment_id for each in snapshot.appointments} <= set(before)


def _more_than_a_page(vendor: PlayedVendor) -> list[str]:
    """Appointments on the vendor's day, in order of time, that one response cannot hold."""
    vendor.check_applicable(VendorCondition.LISTING_PAGED)
    if vendor.page_size is None:
        raise ConditionMissing(type(vendor), VendorCondition.LISTING_PAGED)
    minutes = [number * 24 * 60 // (vendor.page_size + 2) for number in range(vendor.page_size + 2)]
    return [vendor.book(at(vendor, each // 60, each % 60)) for each in minutes]


def _listed_or_not(vendor: PlayedVendor, provider: PimsProvider) -> Snapshot | None:
    """The listing of the vendor's day; None if the provider refuses to return one."""
    try:
        return provider.fetch_appointments(the_day(vendor))
    except UNSETTLED:
        return None


def _listed_while(
    vendor: PlayedVendor, provider: PimsProvider, edit: Callable[[], object]
) -> Snapshot | None:
    """As ``_listed_or_not``, with an edit between the first page and the second."""
    edited: list[object] = []
    vendor.between_pages(lambda: edited.append(edit()))
    snapshot = _listed_or_not(vendor, provider)
    assert edited, "the vendor did not edit its calendar between two pages"
    return snapshot


class EditPromises:
    """What people change in the calendar."""

    def test_a_moved_appointment_is_listed_on_its_new_date_alone(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        vendor.move(identity, at(vendor, 14, days=1))
        provider = connections.log_in()
        assert identity not in listed(provider, the_day(vendor))
        found = listed(provider, the_day(vendor, 1))[identity]
        assert found.scheduled_start == local_to_utc(at(vendor, 14, days=1), vendor.clinic.zone)

    def test_a_cancelled_appointment_stays_listed_as_cancelled(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.CANCELLED)
        identity = vendor.book(at(vendor, 9))
        provider = connections.log_in()
        before = listed(provider, the_day(vendor))[identity].status
        vendor.cancel(identity)
        after = listed(provider, the_day(vendor))[identity].status
        assert after != before
        meant = vendor.description.words.status_of(after)
        assert meant is CaseStatus.REVIEWED, "the provider's words do not have its word"

    def test_a_deleted_appointment_is_absent_from_a_whole_listing(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        deleted, kept = vendor.book(at(vendor, 9)), vendor.book(at(vendor, 10))
        vendor.delete(deleted)
        snapshot = connections.log_in().fetch_appointments(the_day(vendor))
        found = {each.appointment_id for each in snapshot.appointments}
        assert deleted not in found
        assert kept in found
        assert snapshot.complete

    def test_a_restored_appointment_is_listed_again(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.RESTORED)
        identity = vendor.book(at(vendor, 9))
        vendor.delete(identity)
        vendor.restore(identity)
        assert identity in listed(connections.log_in(), the_day(vendor))

    def test_a_blocked_slot_is_distinguished_from_an_appointment(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.BLOCK)
        identity = vendor.block(at(vendor, 12))
        found = listed(connections.log_in(), around(vendor))
        assert found[identity].kind is RecordKind.BLOCK
