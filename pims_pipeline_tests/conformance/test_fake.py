"""The port's test double keeps the promises that other tests rely on."""

from pims_pipeline.conformance.provider_suite import ProviderSuite
from pims_pipeline_tests.conformance.fake_vendor import FakeProviderVendor

pytest_plugins = ["pims_pipeline.conformance.plugin"]


class TestFake(ProviderSuite):
    vendor_type = FakeProviderVendor
