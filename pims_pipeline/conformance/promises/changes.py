"""What every provider promises of changes, if it lists them: what changed, and no proof."""

from datetime import UTC, datetime, timedelta

from pims_pipeline.conformance.conditions import VendorCondition
from pims_pipeline.conformance.connections import Connections, with_changes
from pims_pipeline.conformance.promises.asking import around, at
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.providers.port import PimsProvider

_A_WHILE = timedelta(minutes=5)
"""Longer than the precision of any vendor's times."""


def _changes(vendor: PlayedVendor, provider: PimsProvider) -> Snapshot:
    """What changed in the window a short while ago; these are few, so they must be listed."""
    found = with_changes(provider).changes_since(datetime.now(UTC) - _A_WHILE, around(vendor))
    assert found is not None
    return found


class ChangePromises:
    """What was booked, changed, deleted, moved and restored since a moment."""

    def test_changes_hold_what_was_booked_and_moved_within_the_window(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        with_changes(provider)
        booked, moved = vendor.book(at(vendor, 9)), vendor.book(at(vendor, 10))
        vendor.move(moved, at(vendor, 15, days=1))
        found = {each.appointment_id: each for each in _changes(vendor, provider).appointments}
        assert {booked, moved} <= found.keys()
        expected = local_to_utc(at(vendor, 15, days=1), vendor.clinic.zone)
        assert found[moved].scheduled_start == expected

    def test_what_was_deleted_or_moved_away_has_left(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        with_changes(provider)
        deleted, moved = vendor.book(at(vendor, 9)), vendor.book(at(vendor, 10))
        vendor.delete(deleted)
        vendor.move(moved, at(vendor, 10, days=60))
        found = _changes(vendor, provider)
        assert {deleted, moved} <= set(found.left)
        assert not {deleted, moved} & {each.appointment_id for each in found.appointments}

    def test_what_was_restored_has_not_left(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.RESTORED)
        provider = connections.log_in()
        with_changes(provider)
        identity = vendor.book(at(vendor, 9))
        vendor.delete(identity)
        vendor.restore(identity)
        found = _changes(vendor, provider)
        assert identity in {each.appointment_id for each in found.appointments}
        assert identity not in found.left

    def test_changes_prove_no_absence(self, vendor: PlayedVendor, connections: Connections) -> None:
        provider = connections.log_in()
        with_changes(provider)
        before = datetime.now(UTC)
        found = _changes(vendor, provider)
        assert not found.complete
        assert found.window == around(vendor)
        assert before <= found.fetched_at <= datetime.now(UTC)
