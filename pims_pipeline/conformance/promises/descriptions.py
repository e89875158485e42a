"""What every provider promises of its descriptions of a clinic, if it has them."""

from zoneinfo import available_timezones

from pims_pipeline.conformance.connections import Connections, with_profile, with_resources
from pims_pipeline.conformance.vendor import PlayedVendor


class DescriptionPromises:
    """The clinic's rooms, columns and providers, and its profile."""

    def test_each_resource_is_listed_once(self, connections: Connections) -> None:
        found = with_resources(connections.log_in()).list_resources()
        keys = [each.key for each in found]
        assert len(set(keys)) == len(keys)
        assert all(each.id for each in found)

    def test_the_profile_names_the_clinic_s_time_zone_and_location(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        profile = with_profile(connections.log_in()).clinic_profile()
        zones = [profile.timezone, *(each.timezone for each in profile.locations or ())]
        assert {zone for zone in zones if zone is not None} <= available_timezones()
        assert profile.zone in {None, vendor.clinic.timezone}
        if profile.location_id is not None:
            assert profile.location_id in {each.id for each in profile.locations or ()}
