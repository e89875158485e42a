"""Which adapters there are: the only list from a clinic's provider type to its adapter.

Adapters are imported when they are built, so that a process pays for none it does not use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.port import PimsProvider


class UnknownProvider(UserFacingError, ValueError):
    """A clinic names a provider type that there is no adapter for."""

    def __init__(self, provider_type: str) -> None:
        known = ", ".join(PROVIDER_TYPES)
        super().__init__(f"unknown provider type {provider_type!r}; known are: {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """How adapters go about their work, whichever they are. Times are in seconds.

    Attributes:
        artifacts_dir: Where what helps to explain a failed login is kept.
        chromium_path: The browser that logs in; searched for when None.
        headless: False shows the browser's window.
        browser_sandbox: False starts the browser without its sandbox; root never has it.
        requests_per_second: The most that one vendor account is asked.
        retry_base_delay: Before the second try; doubles with each further one.
        connect_timeout: For a connection.
        read_timeout: For each silence of the vendor's within a request.
        request_timeout: For each whole request, from the connection to the last byte.
        login_timeout: For the browser's start, and again for everything on its pages.
    """

    artifacts_dir: Path
    chromium_path: Path | None = None
    headless: bool = True
    browser_sandbox: bool = True
    requests_per_second: float = 10.0
    retry_base_delay: float = 0.5
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    request_timeout: float = 60.0
    login_timeout: float = 30.0


def build_provider(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    """The clinic's provider, not logged in yet.

    Raises:
        UnknownProvider: If there is no adapter for the clinic's provider type.
    """
    build = _BUILDERS.get(clinic.provider_type)
    if build is None:
        raise UnknownProvider(clinic.provider_type)
    return build(clinic, options)


def _idexx_neo(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    from pims_pipeline.providers.idexx_neo.provider import (  # noqa: PLC0415 - see the module
        IdexxNeoProvider,
    )

    return IdexxNeoProvider(
        zone=clinic.zone,
        base_url=clinic.provider_base_url,
        slug=clinic.slug,
        artifacts_dir=options.artifacts_dir,
        chromium_path=options.chromium_path,
        headless=options.headless,
        browser_sandbox=options.browser_sandbox,
        requests_per_second=options.requests_per_second,
        retry_base_delay=options.retry_base_delay,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        request_timeout=options.request_timeout,
        login_timeout=options.login_timeout,
    )


_BUILDERS: Mapping[str, Callable[[Clinic, ProviderOptions], PimsProvider]] = {
    "idexx_neo": _idexx_neo,
}
PROVIDER_TYPES = tuple(_BUILDERS)
"""Every provider type that a clinic may name."""
