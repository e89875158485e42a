"""The suite as one class, which a provider's package extends in a test module.

Example::

    from pims_pipeline.conformance.provider_suite import ProviderSuite
    from pims_provider_example.vendor import ExampleVendor

    pytest_plugins = ["pims_pipeline.conformance.plugin"]


    class TestExample(ProviderSuite):
        vendor_type = ExampleVendor

A promise belongs in a module of ``promises``.
"""

from typing import ClassVar

import pims_pipeline.conformance.assert_rewriting  # noqa: F401 - see the module
from pims_pipeline.conformance.promises.changes import ChangePromises
from pims_pipeline.conformance.promises.consultations import ConsultationPromises
from pims_pipeline.conformance.promises.descriptions import DescriptionPromises
from pims_pipeline.conformance.promises.faults import FaultPromises
from pims_pipeline.conformance.promises.fields import FieldPromises
from pims_pipeline.conformance.promises.listings import EditPromises, ListingPromises
from pims_pipeline.conformance.promises.logins import LoginPromises, SessionPromises
from pims_pipeline.conformance.promises.lookups import LookupPromises
from pims_pipeline.conformance.promises.use import SecretPromises, UsePromises
from pims_pipeline.conformance.vendor import PlayedVendor


class ProviderSuite(
    # pytest runs the promises of the last one first.
    SecretPromises,
    UsePromises,
    FaultPromises,
    FieldPromises,
    DescriptionPromises,
    ConsultationPromises,
    LookupPromises,
    ChangePromises,
    EditPromises,
    ListingPromises,
    SessionPromises,
    LoginPromises,
):
    """Every promise of a provider, over the vendor of ``vendor_type``."""

    vendor_type: ClassVar[type[PlayedVendor]]
