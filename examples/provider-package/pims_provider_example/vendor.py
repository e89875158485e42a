"""Paw Planner for the conformance kit: the stand-in's calendar, and what cannot happen there."""

from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from pims_pipeline.conformance.conditions import RequestKind, VendorCondition, deciding, optional
from pims_pipeline.conformance.http.proxy import ProxiedRequest
from pims_pipeline.conformance.http.vendor import HttpVendor
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.port import Credentials
from pims_provider_example.description import PROVIDER
from pims_provider_example.stand_in import API_KEY, PAGE_SIZE, StandIn


class PawPlannerVendor(HttpVendor):
    """The location ``north``."""

    description = PROVIDER
    page_size = PAGE_SIZE
    records_path = "items"
    not_applicable: ClassVar = {
        VendorCondition.PERSON_NEEDED: "a key opens the API, without a login page",
    }
    optional_fields = (
        *optional(RequestKind.LISTING, "items[].minutes", "items[].state", "items[].reason"),
        *optional(RequestKind.LISTING, "items[].patient", "items[].owner.phone"),
        *optional(RequestKind.LOOKUP, "state", "minutes", "patient.name"),
        *optional(RequestKind.CONSULTATION, "text", "patient.name", "patient.species"),
    )
    deciding_fields = (
        *deciding(RequestKind.LISTING, "items[0].id", values=([], {}, None, "")),
        *deciding(RequestKind.LISTING, "items[0].start", "items[0].kind"),
        *deciding(RequestKind.LISTING, "items[0].location", values=([], {}, None)),
        *deciding(RequestKind.LOOKUP, "id", "start", "kind", "location"),
        *deciding(RequestKind.CONSULTATION, "appointment_id", "patient.id"),
    )

    def start_server(self) -> str:
        """See ``HttpVendor``."""
        self._stand_in = StandIn()
        return self._stand_in.base_url

    def stop_server(self) -> None:
        """See ``HttpVendor``."""
        self._stand_in.stop()

    @staticmethod
    def kind_of(request: ProxiedRequest) -> RequestKind | None:
        """See ``HttpVendor``."""
        match urlsplit(request.path).path.strip("/").split("/")[1:]:
            case ["locations"]:
                return RequestKind.LOGIN
            case ["calendar"]:
                return RequestKind.LISTING
            case ["appointments", _]:
                return RequestKind.LOOKUP
            case _:
                return RequestKind.CONSULTATION

    @property
    def clinic(self) -> Clinic:
        """See ``PlayedVendor``."""
        return Clinic(
            id=UUID(int=1),
            slug="north",
            name="Paw Planner North",
            timezone="America/New_York",
            provider_type=PROVIDER.type,
            provider_base_url=self.base_url,
            is_active=True,
        )

    @property
    def credentials(self) -> Credentials:
        """See ``PlayedVendor``."""
        return Credentials({"api_key": API_KEY, "location": "north"})

    def reset(self) -> None:
        """See ``PlayedVendor``."""
        super().reset()
        self._stand_in.clear()

    def lift(self) -> None:
        """See ``PlayedVendor``."""
        super().lift()
        self._stand_in.revoked = self._stand_in.leaks = False

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        """See ``PlayedVendor``."""
        if condition is VendorCondition.SESSION_EXPIRES:
            self._stand_in.revoked = True
        elif condition is VendorCondition.OTHER_LOCATION:
            self._stand_in.add(self._aware(datetime(2026, 3, 4, 8)), location="south")  # noqa: DTZ001 - clinic-local
            self._stand_in.leaks = True
        else:
            super().play(condition, kind, times)

    def book(self, start: datetime) -> str:
        """See ``PlayedVendor``."""
        return self._stand_in.add(self._aware(start))

    def block(self, start: datetime) -> str:
        """See ``PlayedVendor``."""
        return self._stand_in.add(self._aware(start), kind="block")

    def move(self, appointment_id: str, start: datetime) -> None:
        """See ``PlayedVendor``."""
        self._stand_in.records[appointment_id]["start"] = self._aware(start).isoformat()

    def cancel(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self._stand_in.records[appointment_id]["state"] = "cancelled"

    def delete(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        record = self._stand_in.records.pop(appointment_id)
        self._stand_in.deleted[appointment_id] = record

    def restore(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        record = self._stand_in.deleted.pop(appointment_id)
        self._stand_in.records[appointment_id] = record

    def finish(self, appointment_id: str, notes: str) -> None:
        """See ``PlayedVendor``."""
        record = self._stand_in.records[appointment_id]
        record["state"] = "done"
        self._stand_in.notes[appointment_id] = {
            "id": f"n-{appointment_id}",
            "appointment_id": appointment_id,
            "patient": dict(record["patient"]),
            "text": notes,
        }

    def open_consultation(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self._stand_in.records[appointment_id]["state"] = "in progress"

    def correct_consultation(self, appointment_id: str, notes: str) -> None:
        """See ``PlayedVendor``."""
        self._stand_in.notes[appointment_id]["text"] = notes

    def swap_consultation(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self._stand_in.notes[appointment_id]["patient"]["id"] = "another"

    def _aware(self, start: datetime) -> datetime:
        return start.replace(tzinfo=self.clinic.zone)
