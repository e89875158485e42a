"""The port: what the pipeline asks of any practice management system.

    PimsError
    ├── TransientError          worth another try: time-out, 5xx, 429 (with retry_after)
    ├── SessionExpired          log in again, once
    ├── AuthenticationRejected  the credentials are wrong: never tried again
    ├── HumanNeeded             a code, a locked account, a page not known
    ├── ContractViolation       the answer is not what the vendor promises
    │   └── PatientMismatch     a consultation of another patient than the appointment's
    └── TimeLimitReached        the clinic's or the run's time is up: ends the phase

Every message says what was asked, of whom, what came back and what to do. None carries
personal data or secrets: messages reach logs, alerts and the Dagster UI. No vendor's
words or wire formats live here; those are the adapters'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pims_pipeline.domain.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.consultations import PimsConsultation
from pims_pipeline.domain.errors import UserFacingError

if TYPE_CHECKING:
    from pims_pipeline.providers.stop_signal import StopSignal


class PimsError(UserFacingError):
    """Anything that went wrong between us and a practice management system."""


class TransientError(PimsError):
    """The same request may well succeed later.

    Attributes:
        retry_after: Seconds the vendor asked us to wait, when it said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SessionExpired(PimsError):
    """The vendor no longer accepts the session; logging in again may help, once."""


class AuthenticationRejected(PimsError):
    """The vendor refused the credentials. Trying again could lock the account."""


class HumanNeeded(PimsError):
    """Only a person can go on: a one-time code, a locked account, a page that is not known."""


class ContractViolation(PimsError):
    """The vendor's answer is not what it promises; nothing may be concluded from it."""


class PatientMismatch(ContractViolation):
    """The vendor's consultation is of another patient than the appointment's."""


class TimeLimitReached(PimsError):
    """The time that a clinic or a run may take is up; nothing more is requested for it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person types to log in. Never printed: the secret fields have no repr."""

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
        """The credentials that ``to_mapping`` gave ``fields`` for."""
        return cls(
            username=fields["username"] or "",
            password=fields["password"] or "",
            company_id=fields.get("company_id"),
        )


@dataclass(frozen=True, slots=True)
class SessionState:
    """A logged-in session in a form that can be stored; ``data`` is secret.

    Attributes:
        data: Opaque to everyone but the adapter that exported it.
        expires_at: Aware UTC; the latest moment the vendor can still accept it.
    """

    data: bytes = field(repr=False)
    expires_at: datetime


class PimsProvider(Protocol):
    """A logged-in (or about to be) conversation with one clinic's PIMS.

    Methods may be called from several threads at once, except ``close``. Each retries
    transient faults by itself and raises from the error tree above when it gives up.
    Each wait of a method, for whatever reason, watches the signal given to ``watch``: the
    method ends within seconds with what ``StopSignal.check`` raises.
    """

    def watch(self, stop: "StopSignal") -> None:
        """End every wait when ``stop`` says so. Called once, before any other method."""
        ...

    def authenticate(self, credentials: Credentials) -> bool:
        """Log in.

        Returns:
            True when the vendor answers a question within the new session, which is this
            object's then. False when the vendor refused the credentials that it was sent.

        Raises:
            HumanNeeded: If something that only a person can answer is between the credentials
                and such a session: a code, a location to choose, a page that is not known.
            TransientError: If the login page or the browser could not be reached or driven.
            ContractViolation: If the page is not the login page the adapter knows, or the
                credentials could not be sent.
        """
        ...

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """List the clinic's diary for the window's business dates, in one request.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree. A listing
                that is not provably whole raises; it is never returned as an empty diary.
        """
        ...

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """The appointment's medical record, or None when there is none (yet).

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...

    def close(self) -> None:
        """Let go of connections and browsers. Calling it again does nothing."""
        ...


@runtime_checkable
class PortableSession(Protocol):
    """A provider whose login survives the process, so that a warm sync needs no login."""

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
class LooksUpAppointments(Protocol):
    """A provider that can be asked for one appointment by its identity."""

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """What the vendor says of the appointment, wherever in the diary it stands.

        Raises:
            SessionExpired, TransientError, ContractViolation: See the tree.
        """
        ...
