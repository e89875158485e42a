"""Complete listings of a vendor's calendar, with the stored records of their appointments.

What a listing changes belongs in ``pims_pipeline.domain``; writing it belongs in ``inbound`` and
``reconciliation``.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import MAX_FETCH_DAYS, Clinic, DateRange
from pims_pipeline.domain.moments import MAX_SKEW
from pims_pipeline.domain.planning.inbound_comparing import ComparedListing, comparable, divided
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.planning.left_out import marked
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.domain.records.series import (
    recognized,
    unsettled_dates,
    windows_around,
    with_further_listing,
)
from pims_pipeline.domain.records.words import Words
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.store.appointments import known_records
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.unchanged_records import unchanged_records
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.session import ProviderSession


def complete_listing(
    clinic: Clinic, window: DateRange, session: ProviderSession, clock: Callable[[], datetime]
) -> Snapshot:
    """The vendor's calendar of the window, with marks on what the clinic leaves out.

    Its ``fetched_at`` is that of ``asked_between``. ``clock`` returns the present time, aware UTC.

    Raises:
        ContractViolation: If the listing may be incomplete: then an absence proves nothing.
    """
    asked_at = clock()
    snapshot = session.request(lambda provider: provider.fetch_appointments(window))
    fetched_at = asked_between(asked_at, snapshot.fetched_at, clock())
    snapshot = replace(snapshot, fetched_at=fetched_at)
    if snapshot.window != window or not snapshot.complete:
        raise ContractViolation(
            f"asked {clinic.provider_type} for the calendar of {clinic.slug}, {window}; the "
            "listing that came back is not complete, so nothing was changed; try again later"
        )
    return marked(snapshot, clinic.resources)


def asked_between(asked_at: datetime, claimed: datetime, now: datetime) -> datetime:
    """When the request was sent: ``claimed``, the adapter's time, if it is plausible.

    The adapter reads the host's clock, which may be set during a run. A wrong time would make the
    response newer than all later ones, or older than all earlier ones, so ``asked_at`` replaces
    it. A time slightly before ``asked_at`` is accepted: an adapter may return a recent response
    again. All times aware.
    """
    return claimed if asked_at - MAX_SKEW <= claimed <= now else asked_at


def known_of(connection: Connection, clinic: Clinic, snapshot: Snapshot) -> dict[str, KnownRecord]:
    """The stored records of the listing's appointments, of their series, and of its window."""
    return known_records(connection, clinic, snapshot.window, _identities(snapshot))


def _identities(snapshot: Snapshot) -> set[str]:
    return {
        name
        for each in snapshot.appointments
        for name in (each.appointment_id, each.vendor_identity)
    }


def compared(
    connection: Connection, clinic: Clinic, snapshot: Snapshot, words: Words
) -> ComparedListing:
    """The listing beside the stored records, of which only those that need a decision are read.

    Planning from it changes the same as planning from ``known_of``.
    """
    candidates = comparable(snapshot, words)
    same = unchanged_records(connection, clinic, snapshot.window, candidates, snapshot.fetched_at)
    rest, unchanged = divided(snapshot, same.pims_ids)
    known: dict[str, KnownRecord] = {}
    if rest.appointments or same.landed_in_window > len(same.pims_ids):
        known = known_records(connection, clinic, rest.window, _identities(rest), but=same.pims_ids)
    return ComparedListing(
        snapshot=rest,
        known=known,
        unchanged=unchanged,
        prepared={each.appointment.appointment_id: each for each in candidates},
    )


def settled(
    context: SyncContext, clinic: Clinic, snapshot: Snapshot, session: ProviderSession
) -> Snapshot:
    """The listing with the known identities, after listing the dates that it leaves unclear.

    An appointment that is stored for a date outside the window was moved or is one of a series:
    only a listing of that date shows which. The writer must recognize the listing again inside its
    transaction.

    Raises:
        PimsError: If a further listing is not complete.
    """
    with transaction(context.engine) as connection:
        known = known_of(connection, clinic, snapshot)
    for window in windows_around(unsettled_dates(snapshot, known), MAX_FETCH_DAYS):
        further = complete_listing(clinic, window, session, context.clock)
        snapshot = with_further_listing(snapshot, further)
    return recognized(snapshot, known, clinic.zone)
