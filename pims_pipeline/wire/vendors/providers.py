"""The installed providers, and the packages that cannot be used."""

from typing import Self

from pims_pipeline.providers.checking import BrokenProvider
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.registry import InstalledProviders
from pims_pipeline.wire.shape import Model


class CredentialFieldDocument(Model):
    """One field of a clinic's login."""

    name: str
    label: str
    secret: bool
    required: bool
    help: str
    pattern: str | None

    @classmethod
    def of(cls, field: CredentialField) -> Self:
        """Build it from a field."""
        return cls(
            name=field.name,
            label=field.label,
            secret=field.secret,
            required=field.required,
            help=field.help,
            pattern=field.pattern,
        )


class ProviderDocument(Model):
    """A provider that clinics may name."""

    type: str
    title: str
    package: str
    base_url_example: str
    docs: str
    capabilities: list[str]
    credential_fields: list[CredentialFieldDocument]

    @classmethod
    def of(cls, provider: ProviderDescription, package: str) -> Self:
        """Build it from a description and the name of its package."""
        return cls(
            type=provider.type,
            title=provider.title,
            package=package,
            base_url_example=provider.base_url_example,
            docs=provider.docs,
            capabilities=sorted(provider.capabilities),
            credential_fields=[
                CredentialFieldDocument.of(each) for each in provider.credential_fields
            ],
        )


class BrokenProviderDocument(Model):
    """A provider that cannot be used, and why."""

    type: str
    package: str
    problem: str

    @classmethod
    def of(cls, broken: BrokenProvider) -> Self:
        """Build it from a broken provider."""
        return cls(type=broken.name, package=broken.package, problem=broken.problem)


class ProviderList(Model):
    """Every provider of this installation."""

    providers: list[ProviderDocument]
    broken: list[BrokenProviderDocument]

    @classmethod
    def of(cls, installed: InstalledProviders) -> Self:
        """Build it from what the packages describe."""
        return cls(
            providers=[
                ProviderDocument.of(each, installed.packages[each.type])
                for each in installed.providers
            ],
            broken=[BrokenProviderDocument.of(each) for each in installed.broken],
        )
