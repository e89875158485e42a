"""What a provider's package declares of itself: its type, credential fields and builder.

A package's module exports one ``ProviderDescription`` as ``PROVIDER`` and names it in its entry
point; ``registry`` finds and checks it. The module is imported to list the providers, so it imports
the adapter in ``build`` only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.words import DEFAULT_WORDS, Words
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Capability, PimsProvider
from pims_pipeline.providers.stop_signal import StopSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDescription:
    """A kind of provider, which clinics name as their ``provider_type``.

    Attributes:
        type: The name that clinics store; the entry point has the same name.
        title: The vendor's or product's name, for people.
        credential_fields: What a clinic's login consists of.
        build: Returns the clinic's provider, not logged in yet. It sends no request.
        base_url_example: An address of such a system, for help texts.
        capabilities: What its providers have beyond the port.
        docs: Where its documentation is: an address, or a file of ``docs/``.
        words: What the vendor's status and type words mean.
        modules: What ``build`` imports. Processes that start many runs import it before.
        try_login_tools: Tries what logins need of this machine, such as a browser, without a
            login. Returns what works, as a clause; raises a ``PimsError`` otherwise. Its waits
            observe the signal. None if logins need nothing.
        conformance: The vendor to check the provider with, as ``package.module:Class``; see
            ``pims providers check``. It is imported then only.
    """

    type: str
    title: str
    credential_fields: Sequence[CredentialField]
    build: Callable[[Clinic, ProviderOptions], PimsProvider] = field(repr=False)
    base_url_example: str
    capabilities: frozenset[Capability] = frozenset()
    docs: str = ""
    words: Words = DEFAULT_WORDS
    modules: tuple[str, ...] = ()
    try_login_tools: Callable[[ProviderOptions, StopSignal], str] | None = field(
        default=None, repr=False
    )
    conformance: str = ""

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """The names of the fields that nothing may show."""
        return tuple(each.name for each in self.credential_fields if each.secret)
