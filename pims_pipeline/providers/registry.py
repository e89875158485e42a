"""The adapters by provider type. Add a new adapter here; this is the only list of them.

Adapters are imported when they are built, so that a process loads only those that it uses.
"""

from collections.abc import Callable, Mapping

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.words import DEFAULT_WORDS, Words
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import PimsProvider


class UnknownProvider(UserFacingError, ValueError):
    """A clinic's provider type has no adapter."""

    def __init__(self, provider_type: str) -> None:
        known = ", ".join(PROVIDER_TYPES)
        super().__init__(f"unknown provider type {provider_type!r}; known are: {known}")


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

    return IdexxNeoProvider(clinic, options)


def vendor_words(provider_type: str) -> Words:
    """What status and type words mean at every clinic with this provider.

    An adapter whose vendor has words of its own adds them to ``DEFAULT_WORDS``.

    Raises:
        UnknownProvider: If there is no adapter: its cases must not follow other words than its own.
    """
    if provider_type not in _BUILDERS:
        raise UnknownProvider(provider_type)
    return _WORDS.get(provider_type, DEFAULT_WORDS)


ADAPTER_MODULES = ("pims_pipeline.providers.idexx_neo.provider",)
"""The modules of the adapters, for processes that import them before they are needed."""
_BUILDERS: Mapping[str, Callable[[Clinic, ProviderOptions], PimsProvider]] = {
    "idexx_neo": _idexx_neo,
}
_WORDS: Mapping[str, Words] = {}
PROVIDER_TYPES = tuple(_BUILDERS)
"""Every provider type that a clinic may name."""
