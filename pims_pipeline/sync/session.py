"""A clinic's session at its vendor: the stored session first, a login only when needed.

One login per clinic runs at a time, across threads (a lock) and processes (a lease in the
database); the next caller uses the stored session. No transaction is open during a login. A
killed login's lease expires, and a login that outlives its lease overwrites nothing newer. Refused
credentials, and those that need a person, wait for a person. The steps of a login belong in the
adapter.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import Lock
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import (
    CAPABILITIES,
    AuthenticationRejected,
    Capability,
    Credentials,
    FetchesConsultations,
    HumanNeeded,
    ListsChanges,
    LooksUpAppointments,
    LooksUpMany,
    PimsProvider,
    PortableSession,
    SessionExpired,
    SessionState,
    TransientError,
)
from pims_pipeline.store.database.leases import LoginLease, login_lease
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.secrets.credentials import (
    StoredCredentials,
    mark_credentials,
    read_credentials,
)
from pims_pipeline.store.secrets.sessions import drop_session, put_session, read_session
from pims_pipeline.sync.context import SyncContext

Result = TypeVar("Result")
_POLL_SECONDS = (0.1, 0.4)
log = get_logger(__name__)


class LoginBusy(TransientError):
    """Another process has been logging in to the clinic for too long."""


@contextmanager
def clinic_session(context: SyncContext, clinic: Clinic) -> Iterator["ProviderSession"]:
    """A session that opens with the first request and is closed in any case."""
    session = ProviderSession(context, clinic)
    try:
        yield session
    finally:
        session.close()


class ProviderSession:
    """Sends requests to a clinic's PIMS, with a login when needed; threads may share it."""

    def __init__(self, context: SyncContext, clinic: Clinic) -> None:
        self._context = context
        self._clinic = clinic
        self._lock = Lock()
        self._provider: PimsProvider | None = None
        self._logins = 0
        self._session_made_at: datetime | None = None

    def request(self, call: Callable[[PimsProvider], Result]) -> Result:
        """The result of ``call``; an expired session is renewed once.

        Args:
            call: Sends a request with the provider; called again after a renewal.

        Raises:
            PimsError: From the request or the login.
            NoCredentials: If the clinic has none.
            RunStopped: If the run was stopped.
        """
        self._context.stop.check()
        provider, logins = self._ready()
        try:
            return call(provider)
        except SessionExpired:
            log.info("session_expired", clinic=self._clinic.slug)
            return call(self._renewed(logins))

    def log_in(self) -> None:
        """Log in with the stored credentials, whatever their status.

        For ``pims credentials check``.

        Raises:
            PimsError: If they do not work.
            NoCredentials: If the clinic has none.
        """
        with self._lock:
            self._log_in(self._opened(), force=True)

    def request_once(self, call: Callable[[PimsProvider], Result]) -> Result:
        """The result of ``call`` within the session of ``log_in``, which is not renewed."""
        self._context.stop.check()
        with self._lock:
            provider = self._opened()
        return call(provider)

    def has(self, capability: Capability) -> bool:
        """Whether the clinic's provider has the capability. Sends no request."""
        with self._lock:
            return isinstance(self._opened(), CAPABILITIES[capability])

    def changes_since(self, moment: datetime, window: DateRange) -> Snapshot | None:
        """What changed since ``moment``; only with ``Capability.CHANGES``."""

        def call(provider: PimsProvider) -> Snapshot | None:
            if not isinstance(provider, ListsChanges):
                raise self._lacks(Capability.CHANGES)
            return provider.changes_since(moment, window)

        return self.request(call)

    def look_up(self, pims_id: str) -> AppointmentLookup:
        """The lookup of one appointment; only with ``Capability.LOOKUP``."""

        def call(provider: PimsProvider) -> AppointmentLookup:
            if not isinstance(provider, LooksUpAppointments):
                raise self._lacks(Capability.LOOKUP)
            return provider.lookup_appointment(pims_id)

        return self.request(call)

    def look_up_many(self, pims_ids: Sequence[str]) -> Mapping[str, AppointmentLookup]:
        """The lookups of several appointments; only with ``Capability.LOOKUP_MANY``.

        One that the response does not settle is absent, and so is one that is filed under the
        identity of another.
        """

        def call(provider: PimsProvider) -> Mapping[str, AppointmentLookup]:
            if not isinstance(provider, LooksUpMany):
                raise self._lacks(Capability.LOOKUP_MANY)
            return provider.lookup_appointments(pims_ids)

        found = self.request(call)
        return {name: each for name, each in found.items() if each.appointment_id == name}

    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        """Consultations by appointment id; only with ``Capability.CONSULTATION_BATCHES``.

        One that the response does not settle is absent, and so is one of another appointment.
        """

        def call(provider: PimsProvider) -> Mapping[str, PimsConsultation | None]:
            if not isinstance(provider, FetchesConsultations):
                raise self._lacks(Capability.CONSULTATION_BATCHES)
            return provider.fetch_consultations(appointments)

        found = self.request(call)
        return {
            name: each
            for name, each in found.items()
            if each is None or each.appointment_id == name
        }

    def _lacks(self, capability: Capability) -> TypeError:
        return TypeError(f"{self._clinic.provider_type} does not have {capability.value}")

    def close(self) -> None:
        """Close the provider; a failure is logged, and undoes no result of the sync."""
        with self._lock:
            provider, self._provider = self._provider, None
        if provider is None:
            return
        try:
            provider.close()
        except Exception as error:  # noqa: BLE001 - of any package; its message may hold a secret
            log.warning(
                "provider_not_closed", clinic=self._clinic.slug, error_class=type(error).__name__
            )

    def _opened(self) -> PimsProvider:
        if self._provider is None:
            self._provider = self._context.open_provider(self._clinic)
            self._provider.watch(self._context.stop)
        return self._provider

    def _ready(self) -> tuple[PimsProvider, int]:
        """A logged-in provider, and the number of its logins so far."""
        with self._lock:
            provider = self._opened()
            if self._logins == 0 and not self._restored(provider):
                self._log_in(provider)
            self._logins = max(self._logins, 1)
            return provider, self._logins

    def _renewed(self, logins_seen: int) -> PimsProvider:
        with self._lock:
            provider = self._opened()
            # Several threads may find the same session expired; the first renews it.
            if self._logins == logins_seen:
                self._log_in(provider)
                self._logins += 1
            return provider

    def _restored(self, provider: PimsProvider) -> bool:
        """Restore a stored session that was not tried yet; return whether that succeeded."""
        if not isinstance(provider, PortableSession):
            return False
        stored = in_transaction(
            self._context.engine,
            partial(
                read_session,
                vault=self._context.vault,
                clinic=self._clinic,
                purpose="sync",
                run_id=self._context.run_id,
            ),
        )
        tried = self._session_made_at
        # Compared by equality: the database's clock may have been set back.
        if stored is None or stored.created_at == tried:
            return False
        self._session_made_at = stored.created_at
        try:
            provider.restore_session(SessionState(stored.data, stored.expires_at))
        except SessionExpired:
            return False
        return True

    def _log_in(self, provider: PimsProvider, *, force: bool = False) -> None:
        context = self._context
        with login_lease(
            context.engine, self._clinic, context.login_terms, wait=self._login_wait()
        ) as lease:
            if not force and self._restored(provider):
                return
            credentials = self._credentials(force=force)
            log.info("logging_in", clinic=self._clinic.slug)
            self._authenticate(provider, credentials, lease)
            log.info("logged_in", clinic=self._clinic.slug)

    def _login_wait(self) -> Callable[[], None]:
        """A function that waits briefly for another login, and raises after the time limit."""
        seconds = self._context.login_wait_seconds
        deadline = monotonic() + seconds

        def wait() -> None:
            if monotonic() > deadline:
                raise LoginBusy(
                    f"another process has been logging in to {self._clinic.slug} for more than "
                    f"{seconds:g} seconds; check that process, and try again"
                )
            # At random, so that waiting processes do not poll at the same time.
            self._context.stop.wait(random.uniform(*_POLL_SECONDS))  # noqa: S311 - protects no secret

        return wait

    def _credentials(self, *, force: bool) -> StoredCredentials:
        slug = self._clinic.slug
        stored = in_transaction(
            self._context.engine,
            partial(
                read_credentials,
                vault=self._context.vault,
                clinic=self._clinic,
                purpose="login",
                run_id=self._context.run_id,
            ),
        )
        if stored.status is CredentialStatus.INVALID and not force:
            raise AuthenticationRejected(
                f"the vendor refused the stored credentials of {slug}; they are not tried again: "
                f"store new ones with `pims credentials set {slug}`"
            )
        if stored.status is CredentialStatus.NEEDS_HUMAN and not force:
            raise HumanNeeded(
                f"the account of {slug} needs a person: log in at the vendor's website, then run "
                f"`pims credentials check {slug}`"
            )
        return stored

    def _authenticate(
        self, provider: PimsProvider, stored: StoredCredentials, lease: LoginLease
    ) -> None:
        slug = self._clinic.slug
        try:
            accepted = provider.authenticate(Credentials.from_mapping(stored.fields))
        except HumanNeeded:
            self._store_result(stored, CredentialStatus.NEEDS_HUMAN, lease)
            raise
        except AuthenticationRejected:
            # The adapter knows what is wrong with them, and says so.
            self._store_result(stored, CredentialStatus.INVALID, lease)
            raise
        if not accepted:
            self._store_result(stored, CredentialStatus.INVALID, lease)
            raise AuthenticationRejected(
                f"the vendor refused the credentials of {slug}; "
                f"store new ones with `pims credentials set {slug}`"
            )
        state = provider.export_session() if isinstance(provider, PortableSession) else None
        self._store_result(stored, CredentialStatus.VALID, lease, state)

    def _store_result(
        self,
        stored: StoredCredentials,
        status: CredentialStatus,
        lease: LoginLease,
        state: SessionState | None = None,
    ) -> None:
        """Store the result of the login, unless another process has logged in since."""

        def write(connection: Connection) -> datetime | None:
            if not lease.is_held(connection):
                log.warning("login_outlived_its_lease", clinic=self._clinic.slug)
                return None
            mark_credentials(connection, self._clinic, status, read_at=stored.updated_at)
            if status is not CredentialStatus.VALID:
                drop_session(connection, self._clinic)
            if state is None:
                return None
            return put_session(
                connection, self._context.vault, self._clinic, state.data, state.expires_at
            )

        self._session_made_at = in_transaction(self._context.engine, write) or self._session_made_at
