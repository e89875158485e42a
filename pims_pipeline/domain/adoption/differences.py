"""What differs between our cases and those of a v4.0 installation, appointment by appointment.

Pure. Find a new kind of difference in ``differences_of``; what it means belongs in ``kinds``.
Reading the two sides belongs in ``store``; whether a clinic may be switched in ``agreement``.
Nothing here knows a patient or a client: ids, dates, status and type alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from pims_pipeline.domain.adoption.edits import is_edited
from pims_pipeline.domain.adoption.kinds import KINDS, DifferenceKind
from pims_pipeline.domain.adoption.shifts import When, when_differs
from pims_pipeline.domain.clinics import business_date
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.words import (
    DEFAULT_WORDS,
    CaseStatus,
    CaseType,
    Words,
    case_type_of,
    status_of,
)

MANUAL_SOURCES = frozenset({"manual"})
"""Values of ``source`` of cases that people made, whatever their external id is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurCase:
    """A case of ours, as far as it is compared. Times are aware UTC.

    Attributes:
        is_listed: Whether the latest listing with its date held its appointment.
        status_word: The vendor's word for the status; None if it is not kept.
        type_word: The vendor's word for the type; None if it is not kept.
        linked_to: The case of theirs that it is linked to, if any.
        changed_at: When it last changed.
    """

    case_id: UUID
    appointment_id: str
    scheduled_date: date
    scheduled_start: datetime
    status: CaseStatus
    case_type: CaseType
    is_retired: bool
    is_listed: bool
    has_consultation: bool
    status_word: str | None
    type_word: str | None
    linked_to: UUID | None
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirCase:
    """A case of theirs that names an appointment, as far as it is compared. Times are aware UTC.

    Attributes:
        source: Who made it; None in the documented layout.
        scheduled_at: None in the documented layout, and if it is not stored.
        scheduled_date: None in the deployed layout, and if it is not stored.
        has_mark: Whether the v4.0 service retired it at some time.
        has_consultation: Whether it has one that names itself, with notes.
    """

    case_id: UUID
    appointment_id: str
    source: str | None
    scheduled_at: datetime | None
    scheduled_date: date | None
    status: str
    case_type: str
    has_mark: bool
    has_consultation: bool
    status_word: str | None
    type_word: str | None
    created_at: datetime

    @property
    def is_retired(self) -> bool:
        """Whether the v4.0 service retired it, and no one has changed its status since."""
        return self.has_mark and self.status == CaseStatus.REVIEWED

    @property
    def is_of_people(self) -> bool:
        """Whether people made it."""
        return self.source in MANUAL_SOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is known of both sides, beside their cases.

    Attributes:
        zone: The clinic's time zone here.
        has_times: Whether theirs have times, not just dates.
        suspected_zones: Zones in which v4.0 may have read the vendor's times by mistake.
        synced_here: By phase when our last completed sync began.
        synced_there: By phase the time since when a change here waits to be seen there: when the
            last completed sync of v4.0 began.
        words: What the vendor's words mean at the clinic here; to v4.0 they mean the common thing.
    """

    zone: ZoneInfo
    has_times: bool
    suspected_zones: Sequence[ZoneInfo] = ()
    synced_here: Mapping[Phase, datetime]
    synced_there: Mapping[Phase, datetime]
    words: Words = DEFAULT_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference of an appointment.

    Attributes:
        day: The business date here; theirs where we have no case.
        ours: Our value, for kinds that have one.
        theirs: Their value.
        hours: By how many hours their time is later.
        zone: The time zone that explains the shift.
        is_waiting: Whether a side has not synced since the other one's case changed, so that its
            next sync may remove the difference.
    """

    kind: DifferenceKind
    appointment_id: str
    day: date | None
    case_id: UUID | None
    their_case_id: UUID | None
    ours: str | None = None
    theirs: str | None = None
    hours: float | None = None
    zone: str | None = None
    is_waiting: bool = False

    @property
    def counts(self) -> bool:
        """Whether it keeps the clinic from agreeing."""
        return KINDS[self.kind].counts and not self.is_waiting


@dataclass(frozen=True, slots=True)
class Pair:
    """The cases of one appointment.

    Attributes:
        ours: None if we have none.
        theirs: The one that is linked, else the newest that is not retired; None if they have
            none.
        duplicates: Further cases of theirs that are not retired.
    """

    appointment_id: str
    ours: OurCase | None
    theirs: TheirCase | None
    duplicates: tuple[TheirCase, ...] = ()


def pairs(ours: Iterable[OurCase], theirs: Iterable[TheirCase]) -> Iterator[Pair]:
    """The cases of each appointment, by its id.

    An appointment of which v4.0 has only cases that people made is left out: theirs are not
    compared, and ours is not missing there.
    """
    our_cases = {case.appointment_id: case for case in ours}
    groups: defaultdict[str, list[TheirCase]] = defaultdict(list)
    for case in theirs:
        groups[case.appointment_id].append(case)
    for appointment_id in sorted(our_cases.keys() | groups.keys()):
        our_case, group = our_cases.get(appointment_id), groups.get(appointment_id, [])
        of_service = [case for case in group if not case.is_of_people]
        if of_service:
            yield _pair(appointment_id, our_case, of_service)
        elif our_case is not None and not group:
            yield Pair(appointment_id, our_case, None)


def _pair(appointment_id: str, our_case: OurCase | None, group: Sequence[TheirCase]) -> Pair:
    linked_to = our_case.linked_to if our_case else None

    def rank(case: TheirCase) -> tuple[bool, bool, datetime, UUID]:
        return case.case_id == linked_to, not case.is_retired, case.created_at, case.case_id

    *others, chosen = sorted(group, key=rank)
    duplicates = tuple(case for case in others if not case.is_retired)
    return Pair(appointment_id, our_case, chosen, duplicates)


def differences_of(pair: Pair, sides: Sides) -> Iterator[Difference]:
    """The differences of one appointment. Cases that both sides retired agree.

    Where one side alone retired its case, nothing else is compared.
    """
    for duplicate in pair.duplicates:
        yield _difference(DifferenceKind.DUPLICATE_THERE, pair.ours, duplicate, sides)
    ours, theirs = pair.ours, pair.theirs
    if ours is None or theirs is None:
        yield from _alone(ours, theirs, sides)
    elif ours.is_retired or theirs.is_retired:
        if (kind := _retirement(ours, theirs)) is not None:
            yield _difference(kind, ours, theirs, sides)
    else:
        yield from _fields(ours, theirs, sides)


def _alone(ours: OurCase | None, theirs: TheirCase | None, sides: Sides) -> Iterator[Difference]:
    if ours is not None and not ours.is_retired:
        yield _difference(DifferenceKind.MISSING_THERE, ours, None, sides)
    if theirs is not None and not theirs.is_retired:
        yield _difference(DifferenceKind.EXTRA_THERE, None, theirs, sides)


def _retirement(ours: OurCase, theirs: TheirCase) -> DifferenceKind | None:
    if ours.is_retired and theirs.is_retired:
        return None
    if theirs.is_retired:
        return DifferenceKind.RETIRED_THERE if ours.is_listed else DifferenceKind.KEPT_HERE
    # Someone took back their retirement.
    return DifferenceKind.STATUS_BY_PEOPLE if theirs.has_mark else DifferenceKind.KEPT_THERE


def _fields(ours: OurCase, theirs: TheirCase, sides: Sides) -> Iterator[Difference]:
    if (when := _when(ours, theirs, sides)) is not None:
        yield _difference(
            DifferenceKind(when.kind),
            ours,
            theirs,
            sides,
            values=(when.ours, when.theirs),
            hours=when.hours,
            zone=when.zone,
        )
    if (kind := _status(ours, theirs, sides.words)) is not None:
        values = ours.status.value, _known_status(theirs.status).value
        yield _difference(kind, ours, theirs, sides, values=values)
    if (kind := _case_type(ours, theirs, sides.words)) is not None:
        values = ours.case_type.value, _known_type(theirs.case_type).value
        yield _difference(kind, ours, theirs, sides, values=values)
    if ours.has_consultation is not theirs.has_consultation:
        missing_there = ours.has_consultation
        yield _difference(
            DifferenceKind.CONSULTATION_MISSING_THERE
            if missing_there
            else DifferenceKind.CONSULTATION_MISSING_HERE,
            ours,
            theirs,
            sides,
        )


def _when(ours: OurCase, theirs: TheirCase, sides: Sides) -> When | None:
    their_time = theirs.scheduled_at if sides.has_times else theirs.scheduled_date
    return when_differs(ours.scheduled_start, their_time, sides.zone, sides.suspected_zones)


def _status(ours: OurCase, theirs: TheirCase, words: Words) -> DifferenceKind | None:
    found = _known_status(theirs.status)
    if ours.status is found:
        return None
    here, there = words.status_of(ours.status_word), words.status_of(theirs.status_word)
    if is_edited(ours.status, found, here, there, status_of(theirs.status_word)):
        return DifferenceKind.STATUS_BY_PEOPLE
    return DifferenceKind.STATUS


def _case_type(ours: OurCase, theirs: TheirCase, words: Words) -> DifferenceKind | None:
    found = _known_type(theirs.case_type)
    if ours.case_type is found:
        return None
    here = words.case_type_of(ours.type_word) if ours.type_word else None
    there = words.case_type_of(theirs.type_word) if theirs.type_word else None
    read_there = case_type_of(theirs.type_word) if theirs.type_word else None
    if is_edited(ours.case_type, found, here, there, read_there):
        return DifferenceKind.TYPE_BY_PEOPLE
    return DifferenceKind.TYPE


def _known_status(stored: str) -> CaseStatus:
    """Their status, read as an import reads it."""
    try:
        return CaseStatus(stored)
    except ValueError:
        return status_of(stored) or CaseStatus.DRAFT


def _known_type(stored: str) -> CaseType:
    try:
        return CaseType(stored)
    except ValueError:
        return CaseType.CHECKUP


def _difference(
    kind: DifferenceKind,
    ours: OurCase | None,
    theirs: TheirCase | None,
    sides: Sides,
    *,
    values: tuple[str | None, str | None] = (None, None),
    hours: float | None = None,
    zone: str | None = None,
) -> Difference:
    day: date | None
    if ours is not None:
        appointment_id, day = ours.appointment_id, ours.scheduled_date
    elif theirs is not None:
        appointment_id, day = theirs.appointment_id, _their_date(theirs, sides.zone)
    else:
        raise ValueError("a difference is of a case")
    return Difference(
        kind=kind,
        appointment_id=appointment_id,
        day=day,
        case_id=ours.case_id if ours else None,
        their_case_id=theirs.case_id if theirs else None,
        ours=values[0],
        theirs=values[1],
        hours=hours,
        zone=zone,
        is_waiting=_is_waiting(KINDS[kind].phase, ours, theirs, sides),
    )


def _their_date(theirs: TheirCase, zone: ZoneInfo) -> date | None:
    if theirs.scheduled_date is not None:
        return theirs.scheduled_date
    return None if theirs.scheduled_at is None else business_date(theirs.scheduled_at, zone)


def _is_waiting(phase: Phase, ours: OurCase | None, theirs: TheirCase | None, sides: Sides) -> bool:
    """Whether the next sync of a side may remove the difference.

    Our case changes with the vendor's alone, so one that changed since the last sync of v4.0 waits
    for its next. Their case may change with every sync of v4.0 and every click of a user, so it
    waits for ours only if it was made since then, and we have none.
    """
    if ours is not None:
        there = sides.synced_there.get(phase)
        return there is not None and ours.changed_at > there
    here = sides.synced_here.get(phase)
    return theirs is not None and here is not None and theirs.created_at > here
