"""Providers that break one promise each, so that the suite is seen to notice it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from pims_pipeline.conformance.conditions import VendorCondition
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Proof,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    Capability,
    ContractViolation,
    Credentials,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline_tests.conformance.fake_vendor import FakeProviderVendor
from pims_pipeline_tests.providers.fake import (
    FakeProvider,
    FakeProviderWithBatches,
    FakeVendor,
)


class _LetsAnyoneIn(FakeProvider):
    def authenticate(self, credentials: Credentials) -> bool:
        return super().authenticate(self.vendor.credentials) and bool(credentials.fields)


class _TakesFaultsForAnEmptyCalendar(FakeProvider):
    def fetch_appointments(self, window: DateRange) -> Snapshot:
        try:
            return super().fetch_appointments(window)
        except (TransientError, ContractViolation):
            return Snapshot(
                window=window,
                appointments=(),
                fetched_at=datetime.now(UTC),
                proof=Proof.ONE_RESPONSE,
            )


class _TakesFaultsForADeletion(FakeProvider):
    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        try:
            return super().lookup_appointment(appointment_id)
        except (TransientError, ContractViolation):
            now = datetime.now(UTC)
            return AppointmentLookup(appointment_id=appointment_id, asked_at=now, found=False)


class _TakesFaultsForNoConsultation(FakeProvider):
    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        try:
            return super().fetch_consultation(appointment)
        except (TransientError, ContractViolation):
            return None


class _DatesItsSnapshotsLate(FakeProvider):
    def fetch_appointments(self, window: DateRange) -> Snapshot:
        found = super().fetch_appointments(window)
        return replace(found, fetched_at=datetime(2099, 1, 1, tzinfo=UTC))


class _ListsOtherDates(FakeProvider):
    def fetch_appointments(self, window: DateRange) -> Snapshot:
        found = super().fetch_appointments(window)
        return replace(found, appointments=tuple(self.vendor.appointments.values()))


class _LogsThePassword(FakeProvider):
    def authenticate(self, credentials: Credentials) -> bool:
        logging.getLogger(__name__).debug("logging in with %s", credentials["password"])
        return super().authenticate(credentials)


class _QuotesThePassword(FakeProvider):
    def fetch_appointments(self, window: DateRange) -> Snapshot:
        try:
            return super().fetch_appointments(window)
        except TransientError as error:
            raise TransientError(f"failed with {self.vendor.credentials['password']}") from error


class _RemembersConsultations(FakeProvider):
    _known: ClassVar[dict[str, Any]] = {}

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if appointment.appointment_id not in self._known:
            found = super().fetch_consultation(appointment)
            self._known[appointment.appointment_id] = found
        return self._known[appointment.appointment_id]  # type: ignore[no-any-return]  # as put in


class _IgnoresTheRun(FakeProvider):
    def watch(self, stop: StopSignal) -> None:
        """Does not observe it."""


class _HasNoTimeouts(FakeProvider):
    def __init__(self, vendor: FakeVendor) -> None:
        super().__init__(vendor)
        vendor.request_timeout = 600.0


class _DeclaresMore(FakeProviderVendor):
    description = replace(
        FakeProviderVendor.description, capabilities=frozenset({Capability.RESOURCES})
    )


class _NeverCloses(FakeProvider):
    def close(self) -> None:
        """Leaves everything open."""


class _TakesTheEndOfASessionForARefusal(FakeProvider):
    def fetch_appointments(self, window: DateRange) -> Snapshot:
        try:
            return super().fetch_appointments(window)
        except SessionExpired as error:
            raise AuthenticationRejected("refused") from error


class _TakesFaultsOfBatchesForDeletions(FakeProviderWithBatches):
    def lookup_appointments(
        self, appointment_ids: Sequence[str]
    ) -> Mapping[str, AppointmentLookup]:
        try:
            return super().lookup_appointments(appointment_ids)
        except TransientError:
            now = datetime.now(UTC)
            return {
                each: AppointmentLookup(appointment_id=each, asked_at=now, found=False)
                for each in appointment_ids
            }


class _TakesFaultsOfBatchesForNoConsultations(FakeProviderWithBatches):
    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        try:
            return super().fetch_consultations(appointments)
        except ContractViolation:
            return {each.appointment_id: None for each in appointments}


class _ClosesOnce(FakeProvider):
    def close(self) -> None:
        assert not self.closed, "closed already"
        super().close()


def _vendor_of(provider: type[FakeProvider]) -> type[FakeProviderVendor]:
    return type(
        f"{provider.__name__}PlayedVendor", (FakeProviderVendor,), {"provider_type": provider}
    )


class _PlaysNoRestoring(FakeProviderVendor):
    def restore(self, appointment_id: str) -> None:  # noqa: ARG002 - the vendor's signature
        self._not_played(VendorCondition.RESTORED)


class _GivesNoReason(FakeProviderVendor):
    not_applicable: ClassVar = {
        **FakeProviderVendor.not_applicable,
        VendorCondition.LISTING_PAGED: " ",
    }


class _DeclaresNoFields(FakeProviderVendor):
    not_applicable: ClassVar = {
        name: reason
        for name, reason in FakeProviderVendor.not_applicable.items()
        if name is not VendorCondition.ODD_OPTIONAL_FIELD
    }


BROKEN: dict[str, tuple[type[PlayedVendor], str]] = {
    "wrong_credentials_are_refused_and_the_right_ones_open_the_calendar": (
        _vendor_of(_LetsAnyoneIn),
        "assert True is False",
    ),
    "a_fault_is_an_error_and_never_an_absence[cut_off-listing]": (
        _vendor_of(_TakesFaultsForAnEmptyCalendar),
        "DID NOT RAISE",
    ),
    "a_listing_that_is_cut_off_proves_no_absence[truncated]": (
        _vendor_of(_TakesFaultsForAnEmptyCalendar),
        "assert ",
    ),
    "a_fault_is_an_error_and_never_an_absence[server_error-lookup]": (
        _vendor_of(_TakesFaultsForADeletion),
        "DID NOT RAISE",
    ),
    "a_fault_is_an_error_and_never_an_absence[unexpected_response-consultation]": (
        _vendor_of(_TakesFaultsForNoConsultation),
        "DID NOT RAISE",
    ),
    "a_snapshot_is_dated_before_its_request": (_vendor_of(_DatesItsSnapshotsLate), "2099"),
    "a_listing_holds_its_window_and_no_other_date": (_vendor_of(_ListsOtherDates), "assert "),
    "no_log_and_no_repr_holds_a_secret": (_vendor_of(_LogsThePassword), "a secret is shown"),
    "no_error_and_no_log_of_a_fault_holds_a_secret[listing]": (
        _vendor_of(_QuotesThePassword),
        "a secret is shown",
    ),
    "a_corrected_consultation_is_fetched_as_it_is_now": (
        _vendor_of(_RemembersConsultations),
        "Right paw.",
    ),
    "a_request_without_an_end_ends_when_the_run_stops[hung-listing]": (
        _vendor_of(_IgnoresTheRun),
        "the wait did not end",
    ),
    "a_request_without_an_end_reaches_its_timeout[slow_drip-lookup]": (
        _vendor_of(_HasNoTimeouts),
        "the wait did not end",
    ),
    "the_provider_has_the_capabilities_that_it_declares": (_DeclaresMore, "resources"),
    "closing_again_does_nothing": (_vendor_of(_ClosesOnce), "closed already"),
    "a_closed_provider_sends_nothing": (_vendor_of(_NeverCloses), "DID NOT RAISE"),
    "access_that_ends_is_distinguished_from_every_other_fault[listing]": (
        _vendor_of(_TakesTheEndOfASessionForARefusal),
        "AuthenticationRejected",
    ),
    "a_fault_of_a_batch_settles_none_of_its_appointments[lookup]": (
        _vendor_of(_TakesFaultsOfBatchesForDeletions),
        "is taken for an absence",
    ),
    "a_fault_of_a_batch_settles_none_of_its_appointments[consultation]": (
        _vendor_of(_TakesFaultsOfBatchesForNoConsultations),
        "is taken for an absence",
    ),
    "a_restored_appointment_is_listed_again": (_PlaysNoRestoring, "does not play the condition"),
    "a_listing_of_several_pages_is_whole": (_GivesNoReason, "does not play the condition"),
    "an_odd_value_in_an_optional_field_costs_no_record[no field]": (
        _DeclaresNoFields,
        "does not play the condition",
    ),
}
"""By the name of the promise: who breaks it, and what the failure says."""
