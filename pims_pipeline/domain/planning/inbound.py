"""Phase 1: what a listing of the calendar changes in the landed records and the cases.

Pure. Reading the calendar and the store, and writing, belong in ``sync/phases/inbound.py``; what
one record changes belongs in ``inbound_decisions``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.planning.case_writes import CaseWrite
from pims_pipeline.domain.planning.inbound_decisions import InboundDecision, decide, landing_of
from pims_pipeline.domain.planning.landed_records import KnownRecord, Landing
from pims_pipeline.domain.records.appointments import PimsAppointment, RecordKind, Snapshot
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import DEFAULT_WORDS, Meaning, Words

_NONE_PREPARED: Mapping[str, Landing] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPlan:
    """What applying a listing writes.

    Attributes:
        landings: Records that are new or changed.
        sightings: Identities in the listing, to be marked as seen.
        missing: Landed identities of the window that a complete listing does not hold, or that
            left it by the vendor's own word.
        meanings: New meanings of the words of records that are not landed again.
        placements: Unchanged records that have other resources, or are left out or not any more.
        recheck: Identities whose consultation is due again, as if it was never fetched.
        by_date: The result for every record found, counted by business date.
    """

    landings: tuple[Landing, ...]
    sightings: tuple[str, ...]
    missing: tuple[str, ...]
    case_writes: tuple[CaseWrite, ...]
    meanings: Mapping[str, Meaning]
    placements: tuple[Landing, ...]
    recheck: tuple[str, ...]
    by_date: Mapping[date, Counts]
    unknown_statuses: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether applying it changes only the times at which records were seen."""
        return not (
            self.landings
            or self.missing
            or self.case_writes
            or self.meanings
            or self.placements
            or self.recheck
        )


def plan_inbound(
    existing: Mapping[str, KnownRecord],
    snapshot: Snapshot,
    *,
    clinic: Clinic,
    words: Words = DEFAULT_WORDS,
    now: datetime | None = None,
    unchanged: Sequence[PimsAppointment] = (),
    prepared: Mapping[str, Landing] = _NONE_PREPARED,
) -> InboundPlan:
    """Decide what a listing changes.

    A record of which the store knows something newer is not changed. A record with an unchanged
    digest causes a write in four cases only: its words have a new meaning, the case has another
    patient's consultation, its metadata is unreadable, or the record changed while it was left
    out. Status and type of a case are written only when the meaning of the vendor's words changes:
    until then, users' edits stay. A record that is left out makes and changes no case.

    Args:
        existing: By vendor identity: the known records of the listing, and every landed record
            of the window.
        snapshot: The listing.
        clinic: The clinic of the listing; new cases get their ids from it.
        now: The present time (aware), not before the response came. Later times were written by a
            wrong clock and are ignored. None accepts every time.
        words: What the clinic's words mean.
        unchanged: Further appointments of the listing, which were found to change nothing: see
            ``comparing``. They are counted and marked as seen.
        prepared: By identity, landings of the listing's appointments that were made before.
    """
    if now is not None:
        existing = {pims_id: known.as_of(now) for pims_id, known in existing.items()}
    results: list[tuple[date, str]] = []
    decided: list[InboundDecision] = []
    for appointment in snapshot.appointments:
        known = existing.get(appointment.appointment_id) or KnownRecord(
            pims_id=appointment.appointment_id
        )
        decision = None
        if not known.is_newer_than(snapshot.fetched_at):
            decision = decide(known, _landing(appointment, words, prepared), clinic, words)
            decided.append(decision)
        results.append((appointment.business_date, _result(appointment, decision)))
    results.extend((each.business_date, _result(each, None)) for each in unchanged)
    present = (*(each.landing.appointment for each in decided), *unchanged)
    return InboundPlan(
        landings=tuple(each.landing for each in decided if each.is_new_or_changed),
        sightings=(
            *(each.known.pims_id for each in decided),
            *(each.appointment_id for each in unchanged),
        ),
        missing=tuple(_missing(existing, snapshot)),
        case_writes=tuple(each.write for each in decided if each.write is not None),
        meanings={each.known.pims_id: each.meaning for each in decided if each.meaning},
        placements=tuple(each.landing for each in decided if each.has_new_placement),
        recheck=tuple(each.known.pims_id for each in decided if each.is_rechecked),
        by_date=tally([*results, *_results_of_quarantined(snapshot)]),
        unknown_statuses=_unknown_statuses(present, words),
    )


def common_to_both(plan: InboundPlan, other: InboundPlan) -> InboundPlan:
    """The plan without the records whose case the other plan leaves as it is.

    The other one is a plan of the same listing, made by other words.
    """
    written = {each.pims_id for each in other.case_writes} | other.meanings.keys()
    return replace(
        plan,
        case_writes=tuple(each for each in plan.case_writes if each.pims_id in written),
        meanings={name: each for name, each in plan.meanings.items() if name in written},
    )


def _landing(
    appointment: PimsAppointment, words: Words, prepared: Mapping[str, Landing]
) -> Landing:
    landing = prepared.get(appointment.appointment_id)
    if landing is not None and landing.appointment is appointment:
        return landing
    return landing_of(appointment, words)


_RESULTS = {EventKind.CREATED: "created", EventKind.RESTORED: "restored"}


def _result(appointment: PimsAppointment, decision: InboundDecision | None) -> str:
    """What the record counts as; without a decision, the store knows something newer."""
    if decision is not None and decision.write is not None:
        return _RESULTS.get(decision.write.kind, "updated")
    if appointment.kind is not RecordKind.APPOINTMENT:
        return "blocked"
    return "left_out" if appointment.left_out else "unchanged"


def _results_of_quarantined(snapshot: Snapshot) -> Iterator[tuple[date, str]]:
    for record in snapshot.quarantined:
        day = record.business_date
        # A date that was misread must not move the count out of the window.
        counted_on = day if day and day in snapshot.window else snapshot.window.start
        yield counted_on, "quarantined"


def _unknown_statuses(present: Iterable[PimsAppointment], words: Words) -> tuple[str, ...]:
    """The statuses of synced appointments that the clinic's words do not name, sorted."""
    statuses = {each.status for each in present if each.makes_case}
    return tuple(sorted(status for status in statuses if words.status_of(status) is None))


def _missing(existing: Mapping[str, KnownRecord], snapshot: Snapshot) -> list[str]:
    """Landed identities that left the window: proven by their absence, or said by the vendor."""
    absence_proves = snapshot.complete and not snapshot.hides_identities
    present = {appointment.appointment_id for appointment in snapshot.appointments}
    # An unreadable record of a series may be any of its occurrences.
    unreadable = {record.pims_id for record in snapshot.quarantined if record.pims_id}
    return sorted(
        known.pims_id
        for known in existing.values()
        if (absence_proves or known.pims_id in snapshot.left)
        and known.pims_id not in present
        and known.vendor_identity not in unreadable
        and known.digest is not None
        and known.business_date in snapshot.window
        and known.missing_since is None
        and known.removed_at is None
        and not known.is_newer_than(snapshot.fetched_at)
    )
