"""Adapters over HTTP that break one promise each; the example's own keeps them all.

The example's package must be importable.
"""

from typing import Any, ClassVar

import httpx2
from pims_provider_example.adapter import PawPlannerProvider
from pims_provider_example.vendor import PawPlannerVendor

from pims_pipeline.conformance.conditions import RequestKind, optional
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    QuarantinedRecord,
)
from pims_pipeline.providers.http.exchange import Exchange
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import ContractViolation, PimsProvider

Sorted = tuple[dict[str, PimsAppointment], dict[str, QuarantinedRecord]]


class _ReadsTheFirstPage(PawPlannerProvider):
    def _pass(self, window: DateRange) -> tuple[list[Any], int]:
        query = {"from": str(window.start), "to": str(window.end), "page": "1"}
        return self._get("/v1/calendar", query, what="the calendar")["items"], 1


class _TrustsOnePass(PawPlannerProvider):
    def _pass(self, window: DateRange) -> tuple[list[Any], int]:
        records, _ = super()._pass(window)
        return records, 1


class _TakesEveryLocation(PawPlannerProvider):
    def _sorted(self, records: list[Any], window: DateRange) -> Sorted:
        return super()._sorted([{**each, "location": self._location} for each in records], window)


class _DropsWhatItCannotRead(PawPlannerProvider):
    def _sorted(self, records: list[Any], window: DateRange) -> Sorted:
        return super()._sorted(records, window)[0], {}


class _GuessesKinds(PawPlannerProvider):
    def _sorted(self, records: list[Any], window: DateRange) -> Sorted:
        kinds = ("appointment", "block")
        return super()._sorted(
            [
                each if each.get("kind") in kinds else {**each, "kind": "appointment"}
                for each in records
            ],
            window,
        )


class _FollowsRedirects(PawPlannerProvider):
    def _connected(self, key: str) -> tuple[httpx2.Client, Exchange]:
        http, exchange = super()._connected(key)
        http.follow_redirects = True
        return http, exchange


class _RepeatsWhatItCannotRead(PawPlannerProvider):
    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        try:
            return super().lookup_appointment(appointment_id)
        except ContractViolation as error:
            sent = self._get(f"/v1/appointments/{appointment_id}", what="it")
            raise ContractViolation(f"cannot read {sent}") from error


class _WantsPatients(PawPlannerProvider):
    def _sorted(self, records: list[Any], window: DateRange) -> Sorted:
        if not all(isinstance(each.get("patient"), dict) for each in records):
            records = []
        return super()._sorted(records, window)


def _vendor_of(provider: type[PawPlannerProvider]) -> type[PlayedVendor]:
    def build(self: PawPlannerVendor, options: ProviderOptions) -> PimsProvider:
        return provider(self.clinic, options)

    return type(f"{provider.__name__}PlayedVendor", (PawPlannerVendor,), {"build": build})


class _MisspellsAField(PawPlannerVendor):
    optional_fields: ClassVar = optional(RequestKind.LISTING, "items[].reasn")


BROKEN: dict[str, tuple[type[PlayedVendor], str]] = {
    "a_listing_of_several_pages_is_whole": (_vendor_of(_ReadsTheFirstPage), "assert "),
    "a_deletion_between_two_pages_hides_no_appointment": (_vendor_of(_TrustsOnePass), "assert "),
    "a_record_of_another_location_never_reaches_the_clinic": (
        _vendor_of(_TakesEveryLocation),
        "assert ",
    ),
    "an_unreadable_deciding_field_is_never_guessed[listing items[0].start]": (
        _vendor_of(_DropsWhatItCannotRead),
        "is guessed",
    ),
    "an_unreadable_deciding_field_is_never_guessed[lookup start]": (
        _vendor_of(_RepeatsWhatItCannotRead),
        "a message repeats",
    ),
    "a_redirect_takes_no_secret_to_another_server[listing]": (
        _vendor_of(_FollowsRedirects),
        "a secret is shown",
    ),
    "an_unreadable_deciding_field_is_never_guessed[listing items[0].kind]": (
        _vendor_of(_GuessesKinds),
        "is guessed",
    ),
    "an_odd_value_in_an_optional_field_costs_no_record[listing items[].patient]": (
        _vendor_of(_WantsPatients),
        "items[].patient",
    ),
    "an_odd_value_in_an_optional_field_costs_no_record[listing items[].reasn]": (
        _MisspellsAField,
        "no response has the field",
    ),
}
"""As in ``broken_providers``."""
