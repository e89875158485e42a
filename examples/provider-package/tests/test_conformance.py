"""Paw Planner keeps every promise of a provider."""

from pims_provider_example.vendor import PawPlannerVendor

from pims_pipeline.conformance.provider_suite import ProviderSuite

pytest_plugins = ["pims_pipeline.conformance.plugin"]


class TestPawPlanner(ProviderSuite):
    vendor_type = PawPlannerVendor
