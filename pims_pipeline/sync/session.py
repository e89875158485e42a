"""A clinic's conversation with its PIMS: stored session first, login only when needed.

The login is single-flight per clinic, across threads (a lock) and processes (a lease in the
database): whoever comes second finds the session that the first one stored. No transaction is
open while the browser works. A login that was killed frees itself when its lease expires; one
that outlived its lease stores nothing over what a newer one stored. Credentials that
the vendor refused, or that need a person, are never tried again until they are replaced
or checked by a person. What a login looks like is the adapter's affair.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import Lock
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection

from pims_pipeline.domain.appointments import AppointmentLookup
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    Credentials,
    HumanNeeded,
    LooksUpAppointments,
    PimsProvider,
    PortableSession,
    SessionExpired,
    SessionState,
    TransientError,
)
from pims_pipeline.store.credentials import StoredCredentials, mark_credentials, read_credentials
from pims_pipeline.store.leases import LoginLease, login_lease
from pims_pipeline.store.retries import in_transaction
from pims_pipeline.store.sessions import drop_session, put_session, read_session
from pims_pipeline.sync.context import SyncContext

Answer = TypeVar("Answer")
_LOOK_EVERY_SECONDS = (0.1, 0.4)
log = get_logger(__name__)


class LoginBusy(TransientError):
    """Another process has been logging in to the clinic for too long."""


@contextmanager
def clinic_session(context: SyncContext, clinic: Clinic) -> Iterator["ProviderSession"]:
    """A conversation that opens at the first question and is closed in any case."""
    session = ProviderSession(context, clinic)
    try:
        yield session
    finally:
        session.close()


class ProviderSession:
    """Asks a clinic's PIMS, logging in when that is needed; safe to share between threads."""

    def __init__(self, context: SyncContext, clinic: Clinic) -> None:
        self._context = context
        self._clinic = clinic
        self._lock = Lock()
        self._provider: PimsProvider | None = None
        self._logins = 0
        self._session_made_at: datetime | None = None

    def ask(self, question: Callable[[PimsProvider], Answer]) -> Answer:
        """The vendor's answer; an expired session is renewed once.

        Raises:
            PimsError: As the question raises it, or the login.
            NoCredentials: If the clinic has none.
            RunStopped: If the run was told to stop.
        """
        self._context.stop.check()
        provider, logins = self._ready()
        try:
            return question(provider)
        except SessionExpired:
            log.info("session_expired", clinic=self._clinic.slug)
            return question(self._renewed(logins))

    def log_in(self) -> None:
        """Log in with the stored credentials, whatever is known of them.

        For a person who wants to know whether they work; see ``pims credentials check``.

        Raises:
            PimsError: If they do not.
            NoCredentials: If the clinic has none.
        """
        with self._lock:
            self._log_in(self._opened(), anyway=True)

    @property
    def can_look_up(self) -> bool:
        """Whether the vendor can be asked for one appointment by its identity."""
        with self._lock:
            return isinstance(self._opened(), LooksUpAppointments)

    def look_up(self, pims_id: str) -> AppointmentLookup:
        """What the vendor says of one appointment; only where ``can_look_up``."""

        def question(provider: PimsProvider) -> AppointmentLookup:
            if not isinstance(provider, LooksUpAppointments):
                raise TypeError(f"{self._clinic.provider_type} cannot look appointments up")
            return provider.lookup_appointment(pims_id)

        return self.ask(question)

    def close(self) -> None:
        """Let go of the provider."""
        with self._lock:
            if self._provider is not None:
                self._provider.close()
                self._provider = None

    def _opened(self) -> PimsProvider:
        if self._provider is None:
            self._provider = self._context.open_provider(self._clinic)
            self._provider.watch(self._context.stop)
        return self._provider

    def _ready(self) -> tuple[PimsProvider, int]:
        """A logged-in provider, and how many logins it has taken so far."""
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
        """Whether a stored session that this conversation has not tried yet was taken up."""
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
        # Not "older than": the database's clock may have been set back since.
        if stored is None or stored.created_at == tried:
            return False
        self._session_made_at = stored.created_at
        try:
            provider.restore_session(SessionState(stored.data, stored.expires_at))
        except SessionExpired:
            return False
        return True

    def _log_in(self, provider: PimsProvider, *, anyway: bool = False) -> None:
        context = self._context
        with login_lease(
            context.engine, self._clinic, context.login_terms, wait=self._turns()
        ) as lease:
            if not anyway and self._restored(provider):
                return
            credentials = self._credentials(anyway=anyway)
            log.info("logging_in", clinic=self._clinic.slug)
            self._authenticate(provider, credentials, lease)
            log.info("logged_in", clinic=self._clinic.slug)

    def _turns(self) -> Callable[[], None]:
        """Waits a moment for another conversation's login, until that takes too long."""
        seconds = self._context.login_wait_seconds
        deadline = monotonic() + seconds

        def wait() -> None:
            if monotonic() > deadline:
                raise LoginBusy(
                    f"another process has been logging in to {self._clinic.slug} for more than "
                    f"{seconds:g} seconds; see what it waits for, and try again"
                )
            # Those that wait together do not look together.
            self._context.stop.wait(random.uniform(*_LOOK_EVERY_SECONDS))  # noqa: S311 - keeps no secret

        return wait

    def _credentials(self, *, anyway: bool) -> StoredCredentials:
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
        if stored.status is CredentialStatus.INVALID and not anyway:
            raise AuthenticationRejected(
                f"the vendor refused the stored credentials of {slug}; they are not tried again: "
                f"store new ones with `pims credentials set {slug}`"
            )
        if stored.status is CredentialStatus.NEEDS_HUMAN and not anyway:
            raise HumanNeeded(
                f"the account of {slug} needs a person: log in at the vendor's page, then run "
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
            self._remember(stored, CredentialStatus.NEEDS_HUMAN, lease)
            raise
        if not accepted:
            self._remember(stored, CredentialStatus.INVALID, lease)
            raise AuthenticationRejected(
                f"the vendor refused the credentials of {slug}; "
                f"store new ones with `pims credentials set {slug}`"
            )
        state = provider.export_session() if isinstance(provider, PortableSession) else None
        self._remember(stored, CredentialStatus.VALID, lease, state)

    def _remember(
        self,
        stored: StoredCredentials,
        status: CredentialStatus,
        lease: LoginLease,
        state: SessionState | None = None,
    ) -> None:
        """Keep what came of the login, unless another process has logged in since."""

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
