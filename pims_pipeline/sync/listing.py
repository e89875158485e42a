"""A whole listing of the vendor's calendar, and what is known of what it holds.

What a listing changes is decided in ``pims_pipeline.domain``, and applied in ``inbound`` and
``reconciliation``.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.appointments import Snapshot
from pims_pipeline.domain.clinics import MAX_FETCH_DAYS, Clinic, DateRange
from pims_pipeline.domain.inbound import KnownRecord
from pims_pipeline.domain.moments import MAX_SKEW
from pims_pipeline.domain.series import (
    recognized,
    unsettled_dates,
    windows_around,
    with_further_listing,
)
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.store.appointments import known_records
from pims_pipeline.store.database import transaction
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.session import ProviderSession


def whole_listing(
    clinic: Clinic, window: DateRange, session: ProviderSession, clock: Callable[[], datetime]
) -> Snapshot:
    """The vendor's calendar of the window.

    It is dated as ``asked_between`` says. ``clock`` gives the present moment, aware UTC.

    Raises:
        ContractViolation: If the listing is not provably complete: an absence in it would
            mean nothing.
    """
    asked_at = clock()
    snapshot = session.ask(lambda provider: provider.fetch_appointments(window))
    fetched_at = asked_between(asked_at, snapshot.fetched_at, clock())
    snapshot = replace(snapshot, fetched_at=fetched_at)
    if not snapshot.complete:
        raise ContractViolation(
            f"asked {clinic.provider_type} for the diary of {clinic.slug}, {window}; the listing "
            "that came back is not complete, so nothing was changed; try again later"
        )
    return snapshot


def asked_between(asked_at: datetime, claimed: datetime, now: datetime) -> datetime:
    """When the vendor was asked: as the adapter claims, if the clock that it reads may be right.

    That is the host's, which may be set in the middle of a run. What it then claims would make
    the response newer than all that follows, or older than all we know; the moment of our
    question takes its place. An adapter that gives what it had a moment ago is believed.
    All aware.
    """
    return claimed if asked_at - MAX_SKEW <= claimed <= now else asked_at


def known_of(connection: Connection, clinic: Clinic, snapshot: Snapshot) -> dict[str, KnownRecord]:
    """What is known of the listing's appointments, of their series, and of its window."""
    identities = {
        name
        for each in snapshot.appointments
        for name in (each.appointment_id, each.vendor_identity)
    }
    return known_records(connection, clinic, snapshot.window, identities)


def settled(
    context: SyncContext, clinic: Clinic, snapshot: Snapshot, session: ProviderSession
) -> Snapshot:
    """The listing by the identities that are known; what it cannot tell by itself is listed too.

    An appointment that is known on a date outside the window was moved, or is one of a
    series: only a listing of that date shows which. The writer must recognize it again,
    inside its transaction.

    Raises:
        PimsError: If a further listing could not be had whole.
    """
    with transaction(context.engine) as connection:
        known = known_of(connection, clinic, snapshot)
    for window in windows_around(unsettled_dates(snapshot, known), MAX_FETCH_DAYS):
        further = whole_listing(clinic, window, session, context.clock)
        snapshot = with_further_listing(snapshot, further)
    return recognized(snapshot, known, clinic.zone)
