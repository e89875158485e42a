"""The port's test double keeps the promises that other tests rely on."""

from dataclasses import replace

from pims_pipeline.conformance.provider_suite import ProviderSuite
from pims_pipeline.providers.port import Capability
from pims_pipeline_tests.conformance.fake_vendor import FakeProviderVendor
from pims_pipeline_tests.providers.fake import BareFakeProvider, FakeProviderWithBatches

pytest_plugins = ["pims_pipeline.conformance.plugin"]


class FullVendor(FakeProviderVendor):
    """Its provider also looks up and fetches several at once."""

    provider_type = FakeProviderWithBatches
    description = replace(
        FakeProviderVendor.description,
        capabilities=FakeProviderVendor.description.capabilities
        | {Capability.LOOKUP_MANY, Capability.CONSULTATION_BATCHES},
    )


class TestFake(ProviderSuite):
    vendor_type = FullVendor


class BareVendor(FakeProviderVendor):
    """Its provider has no capability beyond the port."""

    provider_type = BareFakeProvider
    description = replace(FakeProviderVendor.description, capabilities=frozenset())


class TestBareFake(ProviderSuite):
    vendor_type = BareVendor
