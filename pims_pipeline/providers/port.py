"""The port: what the pipeline needs from any practice management system.

    PimsError
    ├── TransientError          worth another try: timeout, 5xx, 429 (with retry_after)
    ├── SessionExpired          log in again, once
    ├── AuthenticationRejected  the credentials are wrong: never tried again
    ├── HumanNeeded             a code, a locked account, an unknown page
    ├── MissingCredential       a field of the credentials is not stored
    ├── ContractViolation       the response is not what the vendor promises
    │   └── PatientMismatch     a consultation of another patient than the appointment's
    └── TimeLimitReached        the timeout of the clinic or run: ends the phase

Every message says what failed, at which address, why, and what to do. None holds personal data or
secrets, because messages reach logs, alerts and the Dagster UI. A vendor's words and wire formats
belong in its adapter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.profiles import ClinicProfile
from pims_pipeline.domain.records.resources import Resource
from pims_pipeline.domain.records.shapes import Shapes

if TYPE_CHECKING:
    from pims_pipeline.providers.stop_signal import StopSignal


class PimsError(UserFacingError):
    """Any error of the exchange with a practice management system."""


class TransientError(PimsError):
    """A fault that is likely to pass: the same request may succeed later.

    Attributes:
        retry_after: Seconds that the vendor asks to wait, if it names any.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SessionExpired(PimsError):
    """The vendor no longer accepts the session; logging in again may help, once."""


class AuthenticationRejected(PimsError):
    """The vendor refused the credentials. Trying again could lock the account."""


class HumanNeeded(PimsError):
    """Only a person can go on: a one-time code, a locked account, an unknown page."""


class ContractViolation(PimsError):
    """The vendor's response is not what it promises; nothing may be concluded from it.

    Attributes:
        shapes: What the vendor sent instead, by path and JSON type, if the adapter knows it.
    """

    shapes: Shapes = ()


class PatientMismatch(ContractViolation):
    """The vendor's consultation belongs to another patient than the appointment."""


class TimeLimitReached(PimsError):
    """The timeout of a clinic or a run has passed; no more requests are sent for it."""


class MissingCredential(PimsError):
    """The stored credentials lack a field that the adapter needs. Nothing was sent."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the stored credentials have no field {name!r}; store them again with "
            "`pims credentials set`"
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """The fields of a clinic's login, by the names that its adapter declares. Never printed.

    ``credentials["password"]`` is a required field, ``credentials.get("company_id")`` one that
    may be absent. Two with the same fields are equal.
    """

    fields: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    def __getitem__(self, name: str) -> str:
        """The value of a required field.

        Raises:
            MissingCredential: If it is absent, as when the adapter has got a new field.
        """
        try:
            return self.fields[name]
        except KeyError:
            pass
        raise MissingCredential(name)

    def get(self, name: str) -> str | None:
        """The value of a field; None if it is absent."""
        return self.fields.get(name)

    def to_mapping(self) -> dict[str, str]:
        """The fields by name, for encryption at rest."""
        return dict(self.fields)

    @classmethod
    def from_mapping(cls, stored: Mapping[str, str | None]) -> "Credentials":
        """The credentials that were stored as ``stored``; a field without a value is absent."""
        return cls({name: value for name, value in stored.items() if value is not None})


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session in a form that can be stored; ``data`` is secret.

    Attributes:
        data: Opaque to everyone but the adapter that exported it.
        expires_at: Aware UTC; the latest time at which the vendor can still accept it.
    """

    data: bytes = field(repr=False)
    expires_at: datetime


@runtime_checkable
class PimsProvider(Protocol):
    """The connection to one clinic's PIMS, logged in or about to be.

    This is what every adapter has; what only some have is a capability: a protocol of its own
    below, which the pipeline uses where an adapter has it.

    Methods may be called from several threads at once, except ``close``. Each retries
    transient faults by itself and raises from the error tree above when it gives up.
    Every wait of a method observes the signal given to ``watch``: the method ends within
    seconds with what ``StopSignal.check`` raises.

    What is fetched carries the ``shapes`` of its responses, made by ``shapes_of`` of
    ``domain/records/shapes.py``; ``combined`` adds up those of several pages. So does a
    ``ContractViolation``. An adapter that reports none works, and its drift is not seen.
    """

    def watch(self, stop: "StopSignal") -> None:
        """End every wait when ``stop`` is stopped. Called once, before any other method."""
        ...

    def authenticate(self, credentials: Credentials) -> bool:
        """Log in.

        Returns:
            True when the vendor accepts a request within the new session, which this object
            then uses. False when the vendor refused the credentials.

        Raises:
            AuthenticationRejected: Instead of returning False, if the adapter can say which field
                is wrong, and how.
            HumanNeeded: If a page that only a person can pass comes before such a session: a
                code, a location to choose, an unknown page.
            TransientError: If the login page could not be reached, or the browser failed.
            ContractViolation: If the page is not the login page the adapter knows, or the
                credentials could not be sent.
        """
        ...

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """List the clinic's calendar for the window's business dates.

        ``Snapshot.proof`` names how the adapter knows that the listing is whole. An adapter that
        does not know returns None there, or raises; it never returns an empty calendar instead.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """The appointment's consultation, or None when there is none yet.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...

    def close(self) -> None:
        """Close connections and browsers. Calling it again does nothing."""
        ...


@runtime_checkable
class PortableSession(Protocol):
    """A provider whose session survives the process, so that a warm sync needs no login."""

    def export_session(self) -> SessionState:
        """The present session. Raises ``SessionExpired`` when there is none."""
        ...

    def restore_session(self, state: SessionState) -> None:
        """Go on with an exported session.

        Raises:
            SessionExpired: If ``state`` is past its end or cannot be read.
        """
        ...


@runtime_checkable
class ListsResources(Protocol):
    """A provider that can list the clinic's rooms, columns and providers."""

    def list_resources(self) -> tuple[Resource, ...]:
        """The resources in the clinic's own dictionary, under their present names.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...


@runtime_checkable
class DescribesClinic(Protocol):
    """A provider that can describe the clinic: zone, locations, types, words, resources."""

    def clinic_profile(self) -> ClinicProfile:
        """The clinic as its vendor has it now.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...


@runtime_checkable
class ListsChanges(Protocol):
    """A provider that can list what changed, which is cheaper than the whole calendar."""

    def changes_since(self, moment: datetime, window: DateRange) -> Snapshot | None:
        """What the vendor changed in the window since ``moment`` (aware UTC).

        ``appointments`` are those of the window that were booked, changed or restored since,
        ``left`` those that were deleted or moved out of it, and ``proof`` is None: what is not
        mentioned stays as it is. One that changed earlier may be among them. Return None rather
        than a part of the changes; the calendar is then listed.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree. After the last two,
                the calendar is listed.
        """
        ...


@runtime_checkable
class LooksUpAppointments(Protocol):
    """A provider that can look up one appointment by its identity."""

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """Look up the appointment, on any date.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...


@runtime_checkable
class LooksUpMany(LooksUpAppointments, Protocol):
    """A provider that can also look up several appointments at once."""

    def lookup_appointments(
        self, appointment_ids: Sequence[str]
    ) -> Mapping[str, AppointmentLookup]:
        """Look up appointments, by identity.

        One that is absent from the result gets a lookup of its own; so does each of them when
        this raises ``TransientError`` or ``ContractViolation``. Leave out what the response does
        not settle: an absent identity is never taken for an appointment that is gone.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...


@runtime_checkable
class FetchesConsultations(Protocol):
    """A provider that can fetch the consultations of several appointments at once."""

    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        """The consultations by appointment id; None for an appointment that has none yet.

        An appointment that is absent from the result gets a ``fetch_consultation`` of its own; so
        does each of them when this raises ``TransientError`` or ``ContractViolation``.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...


class Capability(StrEnum):
    """What a provider may have beyond the port; each is a protocol of ``CAPABILITIES``."""

    PORTABLE_SESSION = "portable_session"
    LOOKUP = "lookup"
    LOOKUP_MANY = "lookup_many"
    RESOURCES = "resources"
    CLINIC_PROFILE = "clinic_profile"
    CHANGES = "changes"
    CONSULTATION_BATCHES = "consultation_batches"


CAPABILITIES: Mapping[Capability, type] = MappingProxyType(
    {
        Capability.PORTABLE_SESSION: PortableSession,
        Capability.LOOKUP: LooksUpAppointments,
        Capability.LOOKUP_MANY: LooksUpMany,
        Capability.RESOURCES: ListsResources,
        Capability.CLINIC_PROFILE: DescribesClinic,
        Capability.CHANGES: ListsChanges,
        Capability.CONSULTATION_BATCHES: FetchesConsultations,
    }
)
"""The protocol of each capability. Add a capability here and where the pipeline uses it."""


def capabilities_of(provider: object) -> frozenset[Capability]:
    """The capabilities that the object has."""
    return frozenset(
        capability
        for capability, protocol in CAPABILITIES.items()
        if isinstance(provider, protocol)
    )
