"""IDEXX Neo as a provider: its credential fields and its builder."""

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Capability, Credentials, PimsProvider
from pims_pipeline.providers.stop_signal import StopSignal

_ADAPTER = "pims_pipeline.providers.idexx_neo.provider"


def neo_credentials(username: str, password: str, company_id: str | None = None) -> Credentials:
    """The credentials of an account; ``company_id`` if the login form asks for it."""
    return Credentials.from_mapping(
        {"company_id": company_id, "username": username, "password": password}
    )


def _build(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    # A process that only lists the providers needs no HTTP client.
    from pims_pipeline.providers.idexx_neo.provider import (  # noqa: PLC0415 - see above
        IdexxNeoProvider,
    )

    return IdexxNeoProvider(clinic, options)


def _start_browser(options: ProviderOptions, stop: StopSignal) -> str:
    # As above: Playwright's companions cost time to import.
    from pims_pipeline.providers.idexx_neo.login.trial import (  # noqa: PLC0415 - see above
        start_browser,
    )

    return start_browser(options, stop)


PROVIDER = ProviderDescription(
    type="idexx_neo",
    title="IDEXX Neo",
    credential_fields=(
        CredentialField(
            name="company_id",
            label="Company id",
            secret=False,
            required=False,
            help="The company id that the login form has beside the user.",
        ),
        CredentialField(
            name="username",
            label="User name",
            secret=False,
            help="The account that syncs use.",
        ),
        CredentialField(name="password", label="Password", secret=True),
    ),
    build=_build,
    base_url_example="https://clinic.example",
    capabilities=frozenset(
        {
            Capability.PORTABLE_SESSION,
            Capability.LOOKUP,
            Capability.RESOURCES,
            Capability.CLINIC_PROFILE,
        }
    ),
    docs="docs/providers/idexx_neo.md",
    modules=(_ADAPTER,),
    try_login_tools=_start_browser,
    conformance="pims_pipeline.conformance.vendors.idexx_neo:IdexxNeoVendor",
)
"""What the entry point ``idexx_neo`` names."""
