"""The vendor in memory for the suite: a vendor that is not reached over HTTP."""

from dataclasses import replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pims_pipeline.conformance.conditions import RequestKind, VendorCondition
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import (
    Capability,
    ContractViolation,
    Credentials,
    HumanNeeded,
    PimsProvider,
    TransientError,
)
from pims_pipeline_tests.providers.fake import (
    FAKE_CREDENTIALS,
    BareFakeProvider,
    FakeProvider,
    FakeVendor,
)

CLINIC = Clinic(
    id=UUID(int=1),
    slug="fake",
    name="Fake",
    timezone="America/New_York",
    provider_type="fake",
    provider_base_url="https://fake.example",
    is_active=True,
)
_NO_WIRE = "the fake has no wire format"
_ERRORS = {
    VendorCondition.PERSON_NEEDED: HumanNeeded("choose a location"),
    VendorCondition.RATE_LIMITED: TransientError("too many requests"),
    VendorCondition.SERVER_ERROR: TransientError("down"),
    VendorCondition.UNEXPECTED_RESPONSE: ContractViolation("odd"),
    VendorCondition.NO_CONTENT: ContractViolation("nothing"),
    VendorCondition.GARBLED: ContractViolation("no JSON"),
    VendorCondition.BAD_REQUEST: ContractViolation("status 400"),
    VendorCondition.CUT_OFF: TransientError("cut off"),
    VendorCondition.TRUNCATED: TransientError("cut off"),
}


def _build(clinic: Clinic, options: ProviderOptions) -> PimsProvider:
    raise NotImplementedError("FakeProviderVendor builds it, because it knows the FakeVendor")


class FakeProviderVendor(PlayedVendor):
    """A ``FakeVendor``; its fault counters do what real servers do."""

    description = ProviderDescription(
        type="fake",
        title="Fake",
        credential_fields=(
            CredentialField(name="username", label="User name", secret=False),
            CredentialField(name="password", label="Password", secret=True),
        ),
        build=_build,
        base_url_example="https://fake.example",
        capabilities=frozenset({Capability.PORTABLE_SESSION, Capability.LOOKUP}),
    )
    not_applicable: ClassVar = {
        VendorCondition.REDIRECTED: _NO_WIRE,
        VendorCondition.LISTING_PAGED: _NO_WIRE,
        VendorCondition.LISTING_SHIFTS: _NO_WIRE,
        VendorCondition.LISTING_DOUBLED: _NO_WIRE,
        VendorCondition.OTHER_LOCATION: _NO_WIRE,
        VendorCondition.ODD_OPTIONAL_FIELD: _NO_WIRE,
        VendorCondition.UNREADABLE_DECIDING_FIELD: _NO_WIRE,
    }
    provider_type: ClassVar[type[BareFakeProvider]] = FakeProvider

    def start(self) -> None:
        self.vendor = FakeVendor(CLINIC.zone)
        self._before: dict[RequestKind, int] = dict.fromkeys(RequestKind, 0)

    def reset(self) -> None:
        self._before = {kind: self.requests(kind) for kind in RequestKind}
        self.vendor = FakeVendor(CLINIC.zone)
        self._deleted = dict(self.vendor.appointments)

    @property
    def clinic(self) -> Clinic:
        return CLINIC

    @property
    def credentials(self) -> Credentials:
        return FAKE_CREDENTIALS

    def build(self, options: ProviderOptions) -> PimsProvider:
        self.vendor.request_timeout = options.requests.total_timeout
        return self.provider_type(self.vendor)

    def book(self, start: datetime) -> str:
        return self._put(start, RecordKind.APPOINTMENT)

    def block(self, start: datetime) -> str:
        return self._put(start, RecordKind.BLOCK)

    def _put(self, start: datetime, kind: RecordKind) -> str:
        number = len(self.vendor.appointments) + len(self._deleted) + 1
        return self.vendor.book(f"a{number}", start, kind=kind).appointment_id

    def move(self, appointment_id: str, start: datetime) -> None:
        self.vendor.move(appointment_id, start)

    def cancel(self, appointment_id: str) -> None:
        self.vendor.set_status(appointment_id, "Cancelled")

    def delete(self, appointment_id: str) -> None:
        self._deleted[appointment_id] = self.vendor.delete(appointment_id)

    def restore(self, appointment_id: str) -> None:
        self.vendor.put(self._deleted.pop(appointment_id))

    def finish(self, appointment_id: str, notes: str) -> None:
        self.vendor.record_appointment(appointment_id, notes=notes)

    def open_consultation(self, appointment_id: str) -> None:
        self.vendor.set_status(appointment_id, "In Progress")

    def correct_consultation(self, appointment_id: str, notes: str) -> None:
        self.vendor.record_appointment(appointment_id, notes=notes)

    def swap_consultation(self, appointment_id: str) -> None:
        booked = self.vendor.appointments[appointment_id]
        self.vendor.put(replace(booked, patient=replace(booked.patient, id="another")))

    def requests(self, kind: RequestKind) -> int:
        counts = {
            RequestKind.LOGIN: self.vendor.logins,
            RequestKind.LISTING: self.vendor.listings,
            RequestKind.LOOKUP: self.vendor.lookups,
            RequestKind.CONSULTATION: self.vendor.consultation_fetches,
        }
        return self._before[kind] + counts[kind]

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        if condition is VendorCondition.SESSION_EXPIRES:
            self.vendor.expire_sessions()
        elif condition in {VendorCondition.SLOW_DRIP, VendorCondition.HUNG}:
            assert kind is not None
            self.vendor.hanging.add(kind.value)
        elif condition in _ERRORS:
            # The fake, like a real adapter, has done its own retries when it fails.
            if times is None:
                self.vendor.fail_next(_ERRORS[condition], kind.value if kind else "any", 1000)
        else:
            super().play(condition, kind, times)

    def lift(self) -> None:
        self.vendor._faults.clear()
        self.vendor.hanging.clear()
