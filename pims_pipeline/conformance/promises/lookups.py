"""What every provider promises of lookups, if it has them: one appointment, and many."""

from datetime import UTC, datetime

from pims_pipeline.conformance.conditions import VendorCondition
from pims_pipeline.conformance.connections import Connections, with_lookup, with_many_lookups
from pims_pipeline.conformance.promises.asking import at
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.providers.port import ContractViolation, TransientError

UNKNOWN = "999999999999"
"""An identity that no vendor of a test has given."""


class LookupPromises:
    """Lookups by identity."""

    def test_a_lookup_finds_an_appointment_on_any_date(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        vendor.move(identity, at(vendor, 15, days=180))
        found = with_lookup(connections.log_in()).lookup_appointment(identity)
        assert found.exists
        assert found.appointment_id == identity
        assert found.business_date == at(vendor, 15, days=180).date()
        assert found.scheduled_start == local_to_utc(at(vendor, 15, days=180), vendor.clinic.zone)

    def test_a_lookup_of_a_deleted_or_unknown_appointment_does_not_find_it(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        vendor.delete(identity)
        provider = with_lookup(connections.log_in())
        assert not provider.lookup_appointment(identity).exists
        assert not provider.lookup_appointment(UNKNOWN).found

    def test_a_lookup_finds_a_restored_appointment(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.RESTORED)
        provider = with_lookup(connections.log_in())
        identity = vendor.book(at(vendor, 9))
        vendor.delete(identity)
        vendor.restore(identity)
        assert provider.lookup_appointment(identity).exists

    def test_a_lookup_is_dated_before_its_request(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        provider = with_lookup(connections.log_in())
        before = datetime.now(UTC)
        assert before <= provider.lookup_appointment(identity).asked_at <= datetime.now(UTC)

    def test_many_lookups_at_once_find_what_single_ones_find(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = with_many_lookups(connections.log_in())
        booked = [vendor.book(at(vendor, hour)) for hour in (9, 10, 11)]
        found = provider.lookup_appointments(booked)
        assert set(found) == set(booked)
        assert {name: each.scheduled_start for name, each in found.items()} == {
            name: provider.lookup_appointment(name).scheduled_start for name in booked
        }

    def test_an_unknown_one_among_many_lookups_hides_no_other(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = with_many_lookups(connections.log_in())
        kept, deleted = vendor.book(at(vendor, 9)), vendor.book(at(vendor, 10))
        vendor.delete(deleted)
        try:
            found = provider.lookup_appointments([kept, deleted, UNKNOWN])
        except (TransientError, ContractViolation):
            # The pipeline then asks one by one.
            found = {}
        assert all(found[name].exists for name in {kept} & found.keys())
        assert not any(found[name].exists for name in {deleted, UNKNOWN} & found.keys())
