"""What this package declares: the provider's type, its credential fields, its builder."""

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Capability, PimsProvider


def _build(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    # `pims providers list` imports this module, and needs no HTTP client.
    from pims_provider_example.adapter import PawPlannerProvider  # noqa: PLC0415 - see above

    return PawPlannerProvider(clinic, options)


PROVIDER = ProviderDescription(
    type="paw_planner",
    title="Paw Planner",
    credential_fields=(
        CredentialField(
            name="location",
            label="Location",
            secret=False,
            help="The location's name in Paw Planner's settings.",
            pattern=r"[a-z]{2,20}",
        ),
        CredentialField(name="api_key", label="API key", secret=True),
    ),
    build=_build,
    base_url_example="https://api.paw-planner.example",
    capabilities=frozenset({Capability.LOOKUP}),
    modules=("pims_provider_example.adapter",),
    conformance="pims_provider_example.vendor:PawPlannerVendor",
)
