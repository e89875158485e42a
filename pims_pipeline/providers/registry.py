"""The installed providers, found by their entry points.

A package registers a provider in the group ``pims_pipeline.providers``::

    [project.entry-points."pims_pipeline.providers"]
    idexx_neo = "pims_pipeline.providers.idexx_neo.description:PROVIDER"

The built-in ones are registered in the same way. A package is imported when its provider is needed,
so a broken one fails for its own clinics only. What a description must be belongs in ``checking``.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.words import Words
from pims_pipeline.observability.redaction import redact_fields
from pims_pipeline.providers.checking import (
    BrokenProvider,
    checked_description,
    checked_provider,
    package_of,
)
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import PimsProvider

ENTRY_POINTS = "pims_pipeline.providers"
"""The group of the entry points."""
_OUR_PACKAGE = "pims-pipeline"


class UnknownProvider(UserFacingError, ValueError):
    """No installed package has the provider type."""

    def __init__(self, provider_type: str, known: Iterable[str]) -> None:
        names = ", ".join(known) or "none; install pims_pipeline again, as `make setup` does"
        super().__init__(f"unknown provider type {provider_type!r}; known are: {names}")


@dataclass(frozen=True, slots=True)
class InstalledProviders:
    """What the packages of this environment describe.

    Attributes:
        providers: The usable ones, by name.
        packages: The package of each, by type.
        broken: Why each of the others cannot be used.
    """

    providers: tuple[ProviderDescription, ...]
    packages: Mapping[str, str]
    broken: tuple[BrokenProvider, ...]


class Registry:
    """Providers by type, from entry points; a provider is loaded once, when it is asked for.

    Of two entry points with one name neither is used, unless one of them is ours.
    """

    def __init__(self, found: Iterable[EntryPoint]) -> None:
        by_name: dict[str, list[EntryPoint]] = {}
        for each in sorted(set(found), key=lambda each: (each.name, package_of(each))):
            by_name.setdefault(each.name, []).append(each)
        self._chosen: dict[str, EntryPoint] = {}
        self._colliding: list[BrokenProvider] = []
        for name, several in by_name.items():
            self._choose(name, several)
        self._loaded: dict[str, ProviderDescription | BrokenProvider] = {}

    def _choose(self, name: str, several: list[EntryPoint]) -> None:
        ours = [each for each in several if package_of(each) == _OUR_PACKAGE]
        chosen = ours or several
        if len(chosen) == 1:
            self._chosen[name] = chosen[0]
        others = ", ".join(sorted({package_of(each) for each in several}))
        self._colliding += [
            BrokenProvider.of(each, f"field 'type': {name!r} is registered by several: {others}")
            for each in several
            if len(chosen) > 1 or each is not chosen[0]
        ]

    @property
    def types(self) -> tuple[str, ...]:
        """The provider types that clinics may name. Imports no package."""
        return tuple(self._chosen)

    def package(self, provider_type: str) -> str:
        """The name of the package that has the provider.

        Raises:
            UnknownProvider: If no package has the type.
        """
        return package_of(self._entry(provider_type))

    def package_version(self, provider_type: str) -> str:
        """The version of that package; ``unknown`` if it is not installed as one.

        Raises:
            UnknownProvider: If no package has the type.
        """
        distribution = self._entry(provider_type).dist
        return "unknown" if distribution is None else distribution.version

    def description(self, provider_type: str) -> ProviderDescription:
        """The description of a provider; imports its package only.

        Raises:
            UnknownProvider: If no package has the type.
            UnusableProvider: If its package cannot be used.
        """
        found = self._load(provider_type)
        if isinstance(found, BrokenProvider):
            raise found.error()
        return found

    def build(self, clinic: Clinic, options: ProviderOptions) -> PimsProvider:
        """The clinic's provider, not logged in yet.

        Raises:
            UnknownProvider: If no package has the clinic's provider type.
            UnusableProvider: If its package cannot be used.
        """
        description = self.description(clinic.provider_type)
        return checked_provider(self._chosen[description.type], description, clinic, options)

    def installed(self) -> InstalledProviders:
        """All providers. Imports every package; a broken one hides no other."""
        found = [self._load(name) for name in self._chosen]
        return InstalledProviders(
            providers=tuple(each for each in found if isinstance(each, ProviderDescription)),
            packages={name: package_of(entry) for name, entry in self._chosen.items()},
            broken=(
                *(each for each in found if isinstance(each, BrokenProvider)),
                *self._colliding,
            ),
        )

    def adapter_modules(self) -> tuple[str, ...]:
        """The modules of all adapters that can be imported; they are imported then."""
        return tuple(
            module
            for each in self.installed().providers
            for module in each.modules
            if _can_import(module)
        )

    def _load(self, provider_type: str) -> ProviderDescription | BrokenProvider:
        if provider_type not in self._loaded:
            found = checked_description(self._entry(provider_type))
            if isinstance(found, ProviderDescription):
                # Before anything can have read its credentials.
                redact_fields(found.secret_fields)
            self._loaded[provider_type] = found
        return self._loaded[provider_type]

    def _entry(self, provider_type: str) -> EntryPoint:
        entry = self._chosen.get(provider_type)
        if entry is None:
            raise self._unknown(provider_type)
        return entry

    def _unknown(self, provider_type: str) -> UserFacingError:
        for each in self._colliding:
            if each.name == provider_type:
                return each.error()
        return UnknownProvider(provider_type, self.types)


def _can_import(module: str) -> bool:
    try:
        import_module(module)
    except (Exception, SystemExit):  # noqa: BLE001 - of others; it fails where it is used
        return False
    return True


@functools.cache
def registry() -> Registry:
    """The providers of this environment; it is searched once in each process."""
    return Registry(entry_points(group=ENTRY_POINTS))


def build_provider(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    """The clinic's provider; see ``Registry.build``."""
    return registry().build(clinic, options)


def vendor_words(provider_type: str) -> Words:
    """What status and type words mean at every clinic with this provider.

    Raises:
        UnknownProvider, UnusableProvider: See ``Registry.description``.
    """
    return registry().description(provider_type).words
