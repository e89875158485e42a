"""What a provider's package writes for the suite: one clinic at a vendor, played on this machine.

A ``PlayedVendor`` is over a simulator, a stand-in server or recorded responses. Vendors over HTTP
extend ``HttpVendor`` (``http/vendor.py``), which plays most conditions by itself. What is expected
of a provider under a condition belongs in ``promises``.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import ClassVar, NoReturn

from pims_pipeline.conformance.conditions import RequestKind, Spoiled, SpoiledField, VendorCondition
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Credentials, PimsProvider


class NotApplicable(Exception):
    """A promise says nothing about this provider; the message is the reason that is shown."""


class ConditionMissing(AssertionError):
    """The vendor neither plays a condition nor declares that it cannot happen."""

    def __init__(self, vendor: type["PlayedVendor"], condition: VendorCondition) -> None:
        super().__init__(
            f"{vendor.__name__} does not play the condition {condition!r}: play it, or declare in "
            f"not_applicable why it cannot happen at this vendor"
        )


class PlayedVendor(ABC):
    """One clinic at a vendor, with what its users and its servers do.

    Start times are naive and clinic-local. Identities are the vendor's, as the adapter returns them
    in ``PimsAppointment.appointment_id``.

    Attributes:
        description: The provider that is tested.
        not_applicable: Conditions that cannot happen at this vendor, each with the reason.
        optional_fields: Fields of responses that only describe.
        deciding_fields: Fields of responses that decide.
        page_size: The most records in one response of a listing; None if a listing is one response.
        day: The date that the suite books on; far from the calendar's other records, if possible.
    """

    description: ClassVar[ProviderDescription]
    not_applicable: ClassVar[Mapping[VendorCondition, str]] = {}
    optional_fields: ClassVar[tuple[SpoiledField, ...]] = ()
    deciding_fields: ClassVar[tuple[SpoiledField, ...]] = ()
    page_size: ClassVar[int | None] = None
    day: ClassVar[date] = date(2026, 3, 4)

    def start(self) -> None:  # noqa: B027 - a vendor may need none
        """Start what serves the vendor. Called once, before the first test."""

    def stop(self) -> None:  # noqa: B027 - as above
        """End what ``start`` started."""

    @abstractmethod
    def reset(self) -> None:
        """Forget bookings, conditions and sessions. Called before each test."""

    @property
    @abstractmethod
    def clinic(self) -> Clinic:
        """The clinic, with the address at which the vendor is now."""

    @property
    @abstractmethod
    def credentials(self) -> Credentials:
        """The right credentials. Each secret field has a value that occurs nowhere else."""

    def wrong_credentials(self) -> Credentials:
        """The credentials with other secrets, which occur nowhere else either."""
        wrong = {name: f"wrong-{secrets.token_hex(8)}" for name in self.description.secret_fields}
        return Credentials({**self.credentials.fields, **wrong})

    def build(self, options: ProviderOptions) -> PimsProvider:
        """The clinic's provider, not logged in yet."""
        return self.description.build(self.clinic, options)

    def log_in(self, provider: PimsProvider) -> None:
        """Log in for a test that is not about logins. Override it where a login is slow."""
        assert provider.authenticate(self.credentials), "the right credentials are refused"

    # What the clinic's users do.

    @abstractmethod
    def book(self, start: datetime) -> str:
        """Book half an hour for a patient; returns the appointment's identity."""

    @abstractmethod
    def move(self, appointment_id: str, start: datetime) -> None:
        """Give an appointment another start."""

    @abstractmethod
    def delete(self, appointment_id: str) -> None:
        """Delete an appointment."""

    @abstractmethod
    def finish(self, appointment_id: str, notes: str) -> None:
        """Finish an appointment, and write its consultation with these notes (plain text)."""

    def cancel(self, appointment_id: str) -> None:
        """Cancel an appointment; it stays in the calendar."""
        self._not_played(VendorCondition.CANCELLED)

    def restore(self, appointment_id: str) -> None:
        """Undo a deletion."""
        self._not_played(VendorCondition.RESTORED)

    def block(self, start: datetime) -> str:
        """Block half an hour of the calendar; returns the record's identity."""
        self._not_played(VendorCondition.BLOCK)

    def open_consultation(self, appointment_id: str) -> None:
        """Begin an appointment; its consultation is not written yet."""
        self._not_played(VendorCondition.LATE_CONSULTATION)

    def correct_consultation(self, appointment_id: str, notes: str) -> None:
        """Replace the notes of a finished appointment."""
        self._not_played(VendorCondition.CORRECTED_CONSULTATION)

    def swap_consultation(self, appointment_id: str) -> None:
        """From now on, return another patient's consultation for a finished appointment."""
        self._not_played(VendorCondition.OTHER_PATIENT)

    # What the vendor's servers do.

    @abstractmethod
    def requests(self, kind: RequestKind) -> int:
        """How many requests of that kind there were since ``start``."""

    def impose(
        self, condition: VendorCondition, kind: RequestKind | None = None, times: int | None = None
    ) -> None:
        """Let a condition hold, if it is applicable; see ``play``."""
        self.check_applicable(condition)
        self.play(condition, kind, times)

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        """Let a condition hold. Extend it for what your vendor can have.

        Args:
            condition: The condition.
            kind: For requests of this kind; None for all.
            times: For so many requests; None lasts until ``lift`` or ``reset``.
        """
        self._not_played(condition)

    @abstractmethod
    def lift(self) -> None:
        """End all conditions that were imposed, but for sessions that have ended."""

    def sent_elsewhere(self) -> Sequence[str]:
        """The whole requests that followed ``VendorCondition.REDIRECTED`` to another server."""
        self._not_played(VendorCondition.REDIRECTED)

    def between_pages(self, action: Callable[[], object]) -> None:
        """Call ``action`` once, after the first response of the next listing."""
        self._not_played(VendorCondition.LISTING_SHIFTS)

    def spoil(self, field: SpoiledField, value: Spoiled) -> None:
        """Put ``value`` into a field of each response that has it, until ``lift`` or ``reset``."""
        self._not_played(VendorCondition.ODD_OPTIONAL_FIELD)

    def was_spoiled(self, field: SpoiledField) -> bool:
        """Whether a response had the field since ``spoil``: a misspelled one tests nothing."""
        return True

    @classmethod
    def check_applicable(cls, condition: VendorCondition) -> None:
        """Return if the suite may use the condition.

        Raises:
            NotApplicable: If the vendor declares that it cannot happen.
            ConditionMissing: If it does so without a reason.
        """
        if condition not in cls.not_applicable:
            return
        reason = cls.not_applicable[condition].strip()
        if not reason:
            raise ConditionMissing(cls, condition)
        raise NotApplicable(reason)

    @classmethod
    def _not_played(cls, condition: VendorCondition) -> NoReturn:
        cls.check_applicable(condition)
        raise ConditionMissing(cls, condition)
