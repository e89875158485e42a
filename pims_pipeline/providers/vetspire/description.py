"""Vetspire as a provider: its credential fields and its builder."""

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Capability, PimsProvider
from pims_pipeline.providers.vetspire.words import WORDS

_ADAPTER = "pims_pipeline.providers.vetspire.provider"


def _build(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    # A process that only lists the providers needs no HTTP client.
    from pims_pipeline.providers.vetspire.provider import (  # noqa: PLC0415 - see above
        VetspireProvider,
    )

    return VetspireProvider(clinic, options)


PROVIDER = ProviderDescription(
    type="vetspire",
    title="Vetspire",
    credential_fields=(
        CredentialField(
            name="api_key",
            label="API key",
            secret=True,
            help="The vendor issues it; it opens every location of the organisation.",
            pattern=r"[\x21-\x7e]{1,4096}",
        ),
        CredentialField(
            name="location_id",
            label="Location id",
            secret=False,
            help="The location whose calendar is synced, by the vendor's number.",
            pattern=r"[A-Za-z0-9_-]{1,128}",
        ),
    ),
    build=_build,
    base_url_example="https://api.vetspire.example/graphql",
    capabilities=frozenset(
        {
            Capability.LOOKUP,
            Capability.LOOKUP_MANY,
            Capability.RESOURCES,
            Capability.CLINIC_PROFILE,
            Capability.CONSULTATION_BATCHES,
            Capability.CHANGES,
        }
    ),
    docs="docs/providers/vetspire.md",
    conformance="pims_pipeline.conformance.vendors.vetspire:VetspireVendor",
    words=WORDS,
    modules=(_ADAPTER,),
)
"""What the entry point ``vetspire`` names."""
