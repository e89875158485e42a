"""Vetspire for the suite, as the simulator plays it."""

import json
from dataclasses import replace
from typing import ClassVar

from pims_pipeline.conformance.conditions import (
    RequestKind,
    SpoiledField,
    VendorCondition,
    deciding,
    optional,
)
from pims_pipeline.conformance.http.proxy import ProxiedRequest
from pims_pipeline.conformance.vendors.simulated import SimulatedVendor
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.port import Credentials
from pims_pipeline.providers.vetspire.description import PROVIDER
from pims_pipeline.simulator.practice.clinics import VETSPIRE_CLINICS

_QUERIES = {
    "appointments(": RequestKind.LISTING,
    "appointment(": RequestKind.LOOKUP,
    "encounter(": RequestKind.CONSULTATION,
    "locations {": RequestKind.LOGIN,
}
_ROW = "data.appointments[]"
_FIRST = "data.appointments[0]"
_LOOKUP = "data.r0"


class VetspireVendor(SimulatedVendor):
    """The first location of an organisation that has two, whose key opens both."""

    description = PROVIDER
    simulated = VETSPIRE_CLINICS[0]
    page_size = 200
    records_path = "data.appointments"
    not_applicable: ClassVar = {
        VendorCondition.PERSON_NEEDED: "a key opens the interface, without a login page",
    }
    optional_fields: ClassVar[tuple[SpoiledField, ...]] = (
        *optional(
            RequestKind.LISTING,
            *(f"{_ROW}.duration", f"{_ROW}.status", f"{_ROW}.reason", f"{_ROW}.note"),
            *(
                f"{_ROW}.updatedAt",
                f"{_ROW}.type.name",
                f"{_ROW}.provider",
                f"{_ROW}.provider.name",
            ),
            *(f"{_ROW}.encounters", f"{_ROW}.patient", f"{_ROW}.patient.name"),
            *(f"{_ROW}.patient.species", f"{_ROW}.patient.breed", f"{_ROW}.patient.client"),
            *(f"{_ROW}.patient.client.email", f"{_ROW}.patient.client.phoneNumbers"),
        ),
        *optional(RequestKind.LOOKUP, f"{_LOOKUP}.status", f"{_LOOKUP}.duration"),
        *optional(
            RequestKind.CONSULTATION,
            *(
                f"{_LOOKUP}.start",
                f"{_LOOKUP}.signed",
                f"{_LOOKUP}.updatedAt",
                f"{_LOOKUP}.patient",
            ),
            *(f"{_LOOKUP}.sections", f"{_LOOKUP}.subjective", f"{_LOOKUP}.plan"),
            *(f"{_LOOKUP}.problems", f"{_LOOKUP}.vitals", f"{_LOOKUP}.medications"),
        ),
    )
    deciding_fields: ClassVar[tuple[SpoiledField, ...]] = (
        *deciding(RequestKind.LISTING, f"{_FIRST}.id", values=([], {}, None)),
        *deciding(RequestKind.LISTING, f"{_FIRST}.start", f"{_FIRST}.deleted"),
        *deciding(
            RequestKind.LISTING, f"{_FIRST}.location", f"{_FIRST}.location.id", values=([], {})
        ),
        *deciding(RequestKind.LOOKUP, f"{_LOOKUP}.id", f"{_LOOKUP}.start", f"{_LOOKUP}.deleted"),
        *deciding(RequestKind.CONSULTATION, f"{_LOOKUP}.id", f"{_LOOKUP}.appointment.id"),
    )

    @property
    def clinic(self) -> Clinic:
        """See ``PlayedVendor``."""
        found = super().clinic
        return replace(found, provider_base_url=f"{found.provider_base_url}/graphql")

    @property
    def credentials(self) -> Credentials:
        """See ``PlayedVendor``."""
        return Credentials({"api_key": self.simulated.api_key, "location_id": self.account})

    @staticmethod
    def kind_of(request: ProxiedRequest) -> RequestKind | None:
        """See ``HttpVendor``."""
        query = json.loads(request.body)["query"]
        return next((kind for part, kind in _QUERIES.items() if part in query), None)

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        """See ``PlayedVendor``."""
        match condition:
            case VendorCondition.SESSION_EXPIRES:
                self.control.add_fault("forbidden", times=None)
            case VendorCondition.OTHER_LOCATION:
                self.control.add_fault("other_location", times=None)
            case _:
                super().play(condition, kind, times)

    def lift(self) -> None:
        """See ``PlayedVendor``."""
        super().lift()
        self.control.clear_faults()
