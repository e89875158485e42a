"""The suite over the vendor that an option names; ``check`` runs this module with pytest."""

from pims_pipeline.conformance.provider_suite import ProviderSuite


class TestProvider(ProviderSuite):
    """The vendor is that of ``--provider-vendor``."""
