"""Compare an adopted clinic with its v4.0 installation, and keep the counts.

Their tables are only read, and of both sides nothing but ids, dates, status, type, and whether
there is a consultation. What differs is decided in ``domain/adoption/differences.py``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from pims_pipeline.adoption.modes import adopted_clinic
from pims_pipeline.domain.adoption.agreement import DiffCounts
from pims_pipeline.domain.adoption.clinics import THEIR_DEFAULT_ZONE, AdoptionRefused
from pims_pipeline.domain.adoption.differences import (
    Difference,
    OurCase,
    Sides,
    TheirCase,
    differences_of,
    pairs,
)
from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date, zone_named
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.adoptions import Adoption, adoption_of, keep_diff
from pims_pipeline.store.clinics import schedule_config
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries import compared_cases as our_side
from pims_pipeline.store.v4 import comparing as their_side
from pims_pipeline.store.v4.clinics import SCHEDULE_TABLE, clinics_of, schedule_of
from pims_pipeline.store.v4.installation import (
    Installation,
    find_installation,
    read_snapshot,
    require_rights,
)
from pims_pipeline.sync.windows import default_window
from pims_pipeline.sync.words import words_of

LONGEST_WAIT = timedelta(days=1)
"""A change that v4.0 does not have after that long is a difference, whenever it last synced."""
WRITTEN_WITHIN = timedelta(minutes=30)
"""The same for a live clinic, whose cases there we write."""
SERVER_ZONE = "UTC"
"""The zone of most servers, in which v4.0 reads the vendor's times by mistake."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    Attributes:
        counts: By kind.
        differences: By appointment, those that wait and those that do not count too.
        is_kept: Whether the counts are kept, for a switch to judge by. Those of a window that is
            narrower than the clinic's syncs are not.
    """

    clinic: Clinic
    adoption: Adoption
    counts: DiffCounts
    differences: tuple[Difference, ...]
    is_kept: bool = False


def compare_and_keep(
    engine: Engine,
    slug: str,
    now: datetime,
    choose: Callable[[DateRange], DateRange] = lambda synced: synced,
) -> Comparison:
    """Compare a window of the clinic, and keep the counts.

    Args:
        engine: On the database that holds their tables and ours.
        slug: The clinic here.
        now: The present time, aware.
        choose: Returns the business dates to compare, given those that the clinic's syncs cover.

    Raises:
        AdoptionRefused: If the adoption is off.
        MissingRight: If the login may not read a table of theirs.
        NotAV4Installation: If their tables are not there any more.
        NotAdopted, UnknownClinic: If there is nothing to compare.
    """
    with transaction(engine) as connection:
        read_snapshot(connection)
        clinic, adoption = adopted_clinic(connection, slug)
        synced = synced_window(connection, clinic, now)
        comparison = compare(connection, clinic, adoption, choose(synced))
    if not comparison.counts.window.covers(synced):
        return comparison
    with transaction(engine) as connection:
        keep_diff(connection, clinic.id, comparison.counts)
    return Comparison(clinic, adoption, comparison.counts, comparison.differences, is_kept=True)


def compare_if_adopted(engine: Engine, clinic: Clinic, window: DateRange) -> Comparison | None:
    """Compare a window, and keep nothing; None unless the clinic is in mode shadow or live.

    A clinic that was never adopted costs one statement.

    Raises:
        MissingRight: If the login may not read a table of theirs.
        NotAV4Installation: If their tables are not there any more.
    """
    with transaction(engine) as connection:
        adoption = adoption_of(connection, clinic.id)
    if adoption is None or adoption.mode is AdoptionMode.OFF:
        return None
    with transaction(engine) as connection:
        read_snapshot(connection)
        return compare(connection, clinic, adoption, window)


def synced_window(connection: Connection, clinic: Clinic, now: datetime) -> DateRange:
    """The business dates that the clinic's syncs cover at ``now``, looking back and ahead."""
    today = business_date(now, clinic.zone)
    config = schedule_config(connection, clinic)
    return default_window("full", today, config, earliest=date.min)


def compare(
    connection: Connection, clinic: Clinic, adoption: Adoption, window: DateRange
) -> Comparison:
    """Compare the cases of a window, of one moment if the transaction is a snapshot.

    Args:
        connection: In a transaction; nothing is written.
        clinic: Ours.
        adoption: The clinic's.
        window: A case is compared if its date on either side lies within.

    Raises:
        AdoptionRefused: If the adoption is off.
        MissingRight: If the login may not read a table of theirs.
        NotAV4Installation: If their tables are not there any more.
    """
    if adoption.mode is AdoptionMode.OFF:
        raise AdoptionRefused(
            f"the adoption of clinic {clinic.slug!r} is off; turn it on with "
            f"`pims adopt mode --clinic {clinic.slug} shadow`"
        )
    installation = _installation(connection, adoption)
    sides = _sides(connection, installation, clinic, adoption)
    synced_at = sides.synced_here.get(Phase.INBOUND)
    counts = DiffCounts(
        window=window,
        is_synced_here=synced_at is not None and synced_at > adoption.adopted_at,
    )
    found: list[Difference] = []
    ours, theirs = _cases(connection, installation, clinic, adoption.their_clinic_id, window)
    for pair in pairs(ours, theirs):
        counts.compared += 1
        for difference in differences_of(pair, sides):
            counts.add(difference)
            found.append(difference)
    return Comparison(clinic, adoption, counts, tuple(found))


def _installation(connection: Connection, adoption: Adoption) -> Installation:
    installation = find_installation(connection, adoption.their_schema)
    if installation.layout is not adoption.layout:
        raise AdoptionRefused(
            f"schema {adoption.their_schema} has the {installation.layout} layout now, and had the "
            f"{adoption.layout} layout when the clinic was adopted"
        )
    tables = ("clinics", "cases", "case_sync_audits", SCHEDULE_TABLE[installation.layout])
    require_rights(connection, installation, dict.fromkeys(tables, ("SELECT",)))
    return installation


def _sides(
    connection: Connection, installation: Installation, clinic: Clinic, adoption: Adoption
) -> Sides:
    their_id = adoption.their_clinic_id
    return Sides(
        zone=clinic.zone,
        has_times=installation.layout is Layout.DEPLOYED,
        suspected_zones=_suspected_zones(connection, installation, clinic, their_id),
        synced_here=our_side.last_syncs_here(connection, clinic),
        synced_there=_synced_there(connection, installation, adoption),
        words=words_of(connection, clinic),
    )


def _synced_there(
    connection: Connection, installation: Installation, adoption: Adoption
) -> dict[Phase, datetime]:
    """By phase since when changes here wait to be seen there.

    What v4.0 did not see for a day is a difference, whether its service runs or not. Of a live
    clinic, whose cases we write, changes wait for the write alone.
    """
    now = clock_of(connection).database
    if adoption.mode is AdoptionMode.LIVE:
        return dict.fromkeys(Phase, now - WRITTEN_WITHIN)
    found = their_side.last_syncs_there(connection, installation, adoption.their_clinic_id)
    return {phase: max(began, now - LONGEST_WAIT) for phase, began in found.items()}


def _suspected_zones(
    connection: Connection, installation: Installation, clinic: Clinic, their_id: UUID
) -> Sequence[ZoneInfo]:
    """Zones in which v4.0 may have read the times: of servers, its default, and what it stores."""
    stored = [each.timezone for each in clinics_of(connection, installation) if each.id == their_id]
    schedule = schedule_of(connection, installation, their_id)
    names = [SERVER_ZONE, THEIR_DEFAULT_ZONE, *stored, schedule.timezone if schedule else None]
    return [
        zone
        for name in dict.fromkeys(names)
        if name and name != clinic.timezone and (zone := _zone(name)) is not None
    ]


def _zone(name: str) -> ZoneInfo | None:
    try:
        return zone_named(name)
    except ValueError:
        return None


def _cases(
    connection: Connection,
    installation: Installation,
    clinic: Clinic,
    their_id: UUID,
    window: DateRange,
) -> tuple[Iterable[OurCase], Iterable[TheirCase]]:
    """Both sides' cases of the window, each with its other side's, whatever date that has."""
    ours = list(our_side.compared_cases_on(connection, clinic, window))
    here = {case.appointment_id for case in ours}
    theirs = list(
        their_side.compared_cases_on(
            connection, installation, their_id, window, clinic.zone, and_of=here
        )
    )
    alone = {case.appointment_id for case in theirs} - here
    # What is alone in the window may have its other side, and further cases, on another date.
    others = their_side.compared_cases_of(connection, installation, their_id, alone)
    by_id = {case.case_id: case for case in chain(theirs, others)}
    elsewhere = our_side.compared_cases_of(connection, clinic, alone)
    return chain(ours, elsewhere), by_id.values()
