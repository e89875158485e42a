"""Vetspire keeps every promise of a provider."""

from pims_pipeline.conformance.provider_suite import ProviderSuite
from pims_pipeline.conformance.vendors.vetspire import VetspireVendor

pytest_plugins = ["pims_pipeline.conformance.plugin"]


class TestVetspire(ProviderSuite):
    vendor_type = VetspireVendor
