"""IDEXX Neo keeps every promise of a provider."""

from pims_pipeline.conformance.provider_suite import ProviderSuite
from pims_pipeline.conformance.vendors.idexx_neo import IdexxNeoVendor

pytest_plugins = ["pims_pipeline.conformance.plugin"]


class TestIdexxNeo(ProviderSuite):
    vendor_type = IdexxNeoVendor
