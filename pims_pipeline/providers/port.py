"""The port: what the pipeline needs from any practice management system.

    PimsError
    ├── TransientError          worth another try: timeout, 5xx, 429 (with retry_after)
    ├── SessionExpired          log in again, once
    ├── AuthenticationRejected  the credentials are wrong: never tried again
    ├── HumanNeeded             a code, a locked account, an unknown page
    ├── ContractViolation       the response is not what the vendor promises
    │   └── PatientMismatch     a consultation of another patient than the appointment's
    └── TimeLimitReached        the timeout of the clinic or run: ends the phase

Every message says what failed, at which address, why, and what to do. None holds personal data or
secrets, because messages reach logs, alerts and the Dagster UI. A vendor's words and wire formats
belong in its adapter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
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


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person types to log in. The fields have no repr, so they are never printed."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    company_id: str | None = field(default=None, repr=False)

    def to_mapping(self) -> dict[str, str | None]:
        """The fields by name, for encryption at rest."""
        return {
            "company_id": self.company_id,
            "username": self.username,
            "password": self.password,
        }

    @classmethod
    def from_mapping(cls, fields: Mapping[str, str | None]) -> "Credentials":
        """The credentials that ``to_mapping`` turned into ``fields``."""
        return cls(
            username=fields["username"] or "",
            password=fields["password"] or "",
            company_id=fields.get("company_id"),
        )


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session in a form that can be stored; ``data`` is secret.

    Attributes:
        data: Opaque to everyone but the adapter that exported it.
        expires_at: Aware UTC; the latest time at which the vendor can still accept it.
    """

    data: bytes = field(repr=False)
    expires_at: datetime


class PimsProvider(Protocol):
    """The connection to one clinic's PIMS, logged in or about to be.

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
            HumanNeeded: If a page that only a person can pass comes before such a session: a
                code, a location to choose, an unknown page.
            TransientError: If the login page could not be reached, or the browser failed.
            ContractViolation: If the page is not the login page the adapter knows, or the
                credentials could not be sent.
        """
        ...

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """List the clinic's calendar for the window's business dates, in one request.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree. A listing
                that is not provably whole raises; it is never returned as an empty calendar.
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
class LooksUpAppointments(Protocol):
    """A provider that can look up one appointment by its identity."""

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """Look up the appointment, on any date.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...
