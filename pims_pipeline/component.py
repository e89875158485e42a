"""The component ``pims_pipeline.PimsSync``: our code location in another project's ``defs.yaml``.

A composition root beside ``definitions``. Secrets and addresses of databases come from the
environment, as everywhere; ``docs/components.md`` has an example. Add an attribute here when a
project must decide something that no environment variable says.
"""

from collections.abc import Collection
from typing import Annotated

import dagster as dg
from pydantic import AfterValidator, Field

from pims_pipeline.definitions import logged_definitions
from pims_pipeline.domain.addresses.vendors import checked_vendor_address
from pims_pipeline.domain.clinics import checked_slug, zone_named
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.operations.clinics import NewClinic
from pims_pipeline.orchestration.sensors.declared_clinics import build_declared_clinics
from pims_pipeline.providers.registry import registry
from pims_pipeline.settings import SettingsError, component_variables, load_settings


def _zone(name: str) -> str:
    return zone_named(name).key


def _provider(name: str) -> str:
    try:
        registry().description(name)
    except UserFacingError as error:
        raise ValueError(str(error)) from error
    return name


def _address(url: str) -> str:
    try:
        return checked_vendor_address(url)
    except UserFacingError as error:
        raise ValueError(f"base_url {error}") from None


class DeclaredClinic(dg.Model, dg.Resolvable):
    """A clinic that is registered if it is missing, as by ``pims clinics add``."""

    slug: Annotated[str, AfterValidator(checked_slug)] = Field(
        description="Its short name in commands and partitions; it cannot be changed later.",
        examples=["riverbend"],
    )
    name: str = Field(min_length=1, description="Its name, for display.")
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        description="The IANA time zone of its calendar.", examples=["America/New_York"]
    )
    provider: Annotated[str, AfterValidator(_provider)] = Field(
        description="Its practice management system; `pims providers list` shows them.",
        examples=["idexx_neo"],
    )
    base_url: Annotated[str, AfterValidator(_address)] = Field(
        description="The system's address, without user and password.",
        examples=["https://clinic.example"],
    )

    def to_register(self) -> NewClinic:
        """The clinic, as it is registered."""
        return NewClinic(
            slug=self.slug,
            name=self.name,
            timezone=self.timezone,
            provider_type=self.provider,
            provider_base_url=self.base_url,
        )


class PimsSync(dg.Component, dg.Model, dg.Resolvable):
    """Syncs veterinary clinics' cases with their practice management systems.

    Adds the assets, checks, jobs, schedules and sensors of pims_pipeline to the code location.
    """

    clinics: list[DeclaredClinic] = Field(
        default=[],
        description="Clinics to register. One that is registered stays as it is; removing an "
        "entry deactivates nothing.",
    )
    settings: dict[str, str | int | float | bool] = Field(
        default={},
        description="Limits of syncs and of the browser, by variable of docs/settings.md. Secrets "
        "and addresses of databases belong in the environment.",
        examples=[{"PIMS_CLINICS_AT_ONCE": 4}],
    )

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What the list of component types shows."""
        return dg.ComponentTypeSpec(
            description=cls.__doc__,
            produces=["asset", "asset_check", "job", "resource", "schedule", "sensor"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """The code location with these settings; opens no connection.

        Raises:
            SettingsError: If a variable is wrong, or does not belong here.
        """
        _check_names(self.settings.keys())
        ours = logged_definitions(load_settings(self.settings))
        if not self.clinics:
            return ours
        sensor = build_declared_clinics([clinic.to_register() for clinic in self.clinics])
        return dg.Definitions.merge(ours, dg.Definitions(sensors=[sensor]))


def _check_names(given: Collection[str]) -> None:
    allowed = component_variables()
    problems = [
        f"{name} cannot be set under `settings`: set it in the environment, which `pims` reads too"
        for name in sorted(set(given) - allowed)
    ]
    if problems:
        allowed_ones = ", ".join(sorted(allowed))
        raise SettingsError([*problems, f"`settings` may hold {allowed_ones}"])
