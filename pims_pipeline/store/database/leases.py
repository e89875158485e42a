"""Leases: rows that show which process is at work, and expire unless they are renewed.

A lease is taken, renewed and released in short transactions, so that any pooler and a pool of one
connection are enough. Only the database's clock decides. An expired lease is still its holder's
until another process takes it over: so a short outage of the database loses no work. Once it was
taken over, its former holder must write nothing more.

Run leases belong to audits (``store/liveness.py``), login leases to the clinic's session at its
vendor (``sync/session.py``).
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Table, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.tables.operations import login_leases, run_leases

_LARGEST_INT4 = 2**31 - 1
_FAREWELL_SECONDS = 5.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lease lasts without renewal, and how often it is renewed, in seconds."""

    lasts: float
    renewed_every: float


RUN_LEASE = LeaseTerms(lasts=60, renewed_every=10)
LOGIN_LEASE = LeaseTerms(lasts=30, renewed_every=5)


class LeaseLost(UserFacingError):
    """Another process considered this run dead and may do its work; it must write nothing."""


@contextmanager
def run_lease(engine: Engine, terms: LeaseTerms) -> Iterator[int]:
    """A run's lease, renewed while the block runs and released at its end.

    Yields:
        The number by which audits name it; positive.

    Raises:
        DatabaseUnavailable: If the database cannot be reached when it begins.
    """
    owner = in_transaction(engine, lambda connection: _begin_run(connection, terms))

    ours = run_leases.c.owner == owner
    try:
        with _renewing(engine, lambda found: _renewed(found, run_leases, ours, terms), terms):
            yield owner
    finally:
        # One that cannot be released expires.
        with suppress(DBAPIError, UserFacingError), transaction(engine) as connection:
            connection.execute(delete(run_leases).where(ours))


def _begin_run(connection: Connection, terms: LeaseTerms) -> int:
    statement = insert(run_leases).on_conflict_do_nothing().returning(run_leases.c.owner)
    owner: int | None = None
    while owner is None:
        values = {"owner": secrets.randbelow(_LARGEST_INT4) + 1, **_moments(terms)}
        owner = connection.scalar(statement.values(values))
    return owner


def check_run_lease(connection: Connection, owner: int) -> None:
    """Make sure that the run still has its lease.

    Raises:
        LeaseLost: If it does not.
    """
    found = connection.scalar(select(run_leases.c.owner).where(run_leases.c.owner == owner))
    if found is None:
        raise lease_lost()


def lease_lost() -> LeaseLost:
    """What a run raises that lost its lease."""
    return LeaseLost(
        "this run did not renew its lease in time, was considered dead, and its work was marked as "
        "interrupted; nothing was written; find out why it did not run, and sync again"
    )


def end_expired_runs(connection: Connection, owners: Iterable[int]) -> list[int]:
    """Delete expired leases; returns those of ``owners`` that now have none."""
    wanted = sorted(set(owners))
    if not wanted:
        return []
    expired = delete(run_leases).where(run_leases.c.owner.in_(wanted), _has_expired(run_leases))
    connection.execute(expired)
    living = connection.scalars(select(run_leases.c.owner).where(run_leases.c.owner.in_(wanted)))
    return sorted(set(wanted) - set(living))


def drop_old_leases(connection: Connection) -> int:
    """Delete the leases that expired a day ago or longer; returns their number."""
    return sum(
        connection.execute(
            delete(table).where(
                table.c.expires_at <= func.clock_timestamp() - func.make_interval(0, 0, 0, 1)
            )
        ).rowcount
        for table in (run_leases, login_leases)
    )


@dataclass(frozen=True, slots=True)
class LoginLease:
    """The right to log in for a clinic, and to store the session."""

    clinic: Clinic
    holder: UUID

    def is_held(self, connection: Connection) -> bool:
        """Whether it is still ours; it stays ours until the transaction ends."""
        statement = select(login_leases.c.holder).where(_is_held_by(self)).with_for_update()
        return connection.scalar(statement) is not None


@contextmanager
def login_lease(
    engine: Engine, clinic: Clinic, terms: LeaseTerms, *, wait: Callable[[], None]
) -> Iterator[LoginLease]:
    """The clinic's only login at a time, renewed while the block runs.

    Args:
        engine: On the database of cases.
        clinic: Whose account at its vendor.
        terms: How long a login that was killed keeps others waiting.
        wait: Called between two checks while another process has the lease; raises to give up.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    lease = LoginLease(clinic, uuid4())
    while not in_transaction(engine, lambda connection: _takes_login(connection, lease, terms)):
        wait()
    ours = _is_held_by(lease)
    try:
        with _renewing(engine, lambda found: _renewed(found, login_leases, ours, terms), terms):
            yield lease
    finally:
        with suppress(DBAPIError, UserFacingError), transaction(engine) as connection:
            connection.execute(delete(login_leases).where(ours))


def _takes_login(connection: Connection, lease: LoginLease, terms: LeaseTerms) -> bool:
    values = {"holder": lease.holder, **_moments(terms)}
    clinic = lease.clinic
    statement = insert(login_leases).values(
        clinic_id=clinic.id, provider_type=clinic.provider_type, **values
    )
    free = _has_expired(login_leases) | (login_leases.c.holder == lease.holder)
    taken = connection.scalar(
        statement.on_conflict_do_update(
            index_elements=["clinic_id", "provider_type"], set_=values, where=free
        ).returning(login_leases.c.holder)
    )
    return taken is not None


def _is_held_by(lease: LoginLease) -> ColumnElement[bool]:
    return and_(
        login_leases.c.clinic_id == lease.clinic.id,
        login_leases.c.provider_type == lease.clinic.provider_type,
        login_leases.c.holder == lease.holder,
    )


def _moments(terms: LeaseTerms) -> dict[str, ColumnElement[datetime]]:
    # Not now(), which is when the transaction began, perhaps long before.
    now = func.clock_timestamp()
    lasts = func.make_interval(0, 0, 0, 0, 0, 0, terms.lasts)
    return {"renewed_at": now, "expires_at": now + lasts}


def _has_expired(table: Table) -> ColumnElement[bool]:
    return table.c.expires_at <= func.clock_timestamp()


def _renewed(
    connection: Connection, table: Table, ours: ColumnElement[bool], terms: LeaseTerms
) -> bool:
    """Whether the lease was still ours, and so was renewed."""
    return connection.execute(update(table).where(ours).values(_moments(terms))).rowcount > 0


@contextmanager
def _renewing(
    engine: Engine, renew: Callable[[Connection], bool], terms: LeaseTerms
) -> Iterator[None]:
    """Renew a lease while the block runs, for as long as it is ours."""
    done = Event()

    def keep() -> None:
        while not done.wait(terms.renewed_every):
            try:
                with transaction(engine) as connection:
                    is_ours = renew(connection)
            except (DBAPIError, UserFacingError) as error:
                # The next renewal may be in time.
                log.warning("lease_not_renewed", error_class=type(error).__name__)
                continue
            if not is_ours:
                log.warning("lease_lost")
                return

    thread = Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_FAREWELL_SECONDS)
