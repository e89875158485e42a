"""Phase 1: what a listing of the calendar changes in the landed records and the cases.

Pure. Reading the calendar and the store, and writing, belong in ``sync/phases/inbound.py``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.moments import discard_future
from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.planning.case_writes import CaseWrite, kind_of
from pims_pipeline.domain.planning.patients import PartyChange, contradicts
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    RecordKind,
    Snapshot,
    appointment_payload,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.cases import (
    DEFAULT_WORDS,
    FIRST_WORDS,
    Case,
    CaseDraft,
    CaseStatus,
    EventKind,
    Meaning,
    Words,
    case_id_of,
    draft_of,
    status_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the store knows of one vendor identity before the listing is applied.

    Attributes:
        series_id: The vendor's identity of the series, if it is one of a series.
        digest: Of the landed payload; None when the record was never landed.
        last_seen_at: When the latest listing with the record was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found not to have it any more.
        case: Its case, soft-deleted or not.
        patient: As landed; None when it was never landed as an appointment.
        client: As ``patient``.
        meaning: The meaning of its words when the case last followed them; None when that was
            not stored.
    """

    pims_id: str
    series_id: str | None = None
    business_date: date | None = None
    scheduled_start: datetime | None = None
    digest: str | None = None
    last_seen_at: datetime | None = None
    missing_since: datetime | None = None
    removed_at: datetime | None = None
    case: Case | None = None
    patient: Patient | None = None
    client: Client | None = None
    meaning: Meaning | None = None

    @property
    def vendor_identity(self) -> str:
        """The vendor's identity of the appointment, or of its series."""
        return self.series_id or self.pims_id

    @property
    def starts_at(self) -> datetime | None:
        """When it begins, as landed, else as on its case; aware UTC."""
        if self.scheduled_start is not None or self.case is None:
            return self.scheduled_start
        return self.case.scheduled_start

    @property
    def is_absent(self) -> bool:
        """Whether a listing or a lookup showed that it is gone from its date."""
        return self.missing_since is not None or self.removed_at is not None

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether the store knows something newer than a listing fetched at ``moment``."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        return any(known is not None and known > moment for known in moments)

    def as_of(self, now: datetime) -> "KnownRecord":
        """The record without times after ``now`` (aware): a wrong clock wrote them."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (discard_future(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A vendor record to be stored as fetched; ``payload`` is canonical JSON.

    Attributes:
        meaning: What its words mean; None unless it is an appointment.
    """

    appointment: PimsAppointment
    payload: str
    digest: str
    meaning: Meaning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPlan:
    """What applying a listing writes.

    Attributes:
        landings: Records that are new or changed.
        sightings: Identities in the listing, to be marked as seen.
        missing: Landed identities of the window that a complete listing does not hold.
        meanings: New meanings of the words of records that are not landed again.
        recheck: Identities whose consultation is due again, as if it was never fetched.
        by_date: The result for every record found, counted by business date.
    """

    landings: tuple[Landing, ...]
    sightings: tuple[str, ...]
    missing: tuple[str, ...]
    case_writes: tuple[CaseWrite, ...]
    meanings: Mapping[str, Meaning]
    recheck: tuple[str, ...]
    by_date: Mapping[date, Counts]
    unknown_statuses: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether applying it changes only the times at which records were seen."""
        return not (
            self.landings or self.missing or self.case_writes or self.meanings or self.recheck
        )


def plan_inbound(
    existing: Mapping[str, KnownRecord],
    snapshot: Snapshot,
    *,
    clinic: Clinic,
    words: Words = DEFAULT_WORDS,
    now: datetime | None = None,
) -> InboundPlan:
    """Decide what a listing changes.

    A record of which the store knows something newer is not changed. A record with an unchanged
    digest causes a write in three cases only: its words have a new meaning, the case has another
    patient's consultation, or its metadata is unreadable. Status and type of a case are written
    only when the meaning of the vendor's words changes: until then, people's edits stay.

    Args:
        existing: By vendor identity: the known records of the listing, and every landed record
            of the window.
        snapshot: The listing.
        clinic: The clinic of the listing; new cases get their ids from it.
        now: The present time (aware), not before the response came. Later times were written by a
            wrong clock and are ignored. None accepts every time.
        words: What the clinic's words mean.
    """
    if now is not None:
        existing = {pims_id: known.as_of(now) for pims_id, known in existing.items()}
    results: list[tuple[date, str]] = []
    decided: list[_Decision] = []
    for appointment in snapshot.appointments:
        known = existing.get(appointment.appointment_id) or KnownRecord(
            pims_id=appointment.appointment_id
        )
        decision = None
        if not known.is_newer_than(snapshot.fetched_at):
            decision = _decide(known, _landing(appointment, words), clinic, words)
            decided.append(decision)
        results.append((appointment.business_date, _result(appointment, decision)))
    return InboundPlan(
        landings=tuple(each.landing for each in decided if each.is_new_or_changed),
        sightings=tuple(each.known.pims_id for each in decided),
        missing=tuple(_missing(existing, snapshot)),
        case_writes=tuple(each.write for each in decided if each.write is not None),
        meanings={each.known.pims_id: each.meaning for each in decided if each.meaning},
        recheck=tuple(each.known.pims_id for each in decided if each.is_rechecked),
        by_date=tally([*results, *_results_of_quarantined(snapshot)]),
        unknown_statuses=_unknown_statuses(decided, words),
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is done for one record.

    Attributes:
        meaning: To be stored although the record is not landed again.
        is_rechecked: Whether its consultation is due again, as if it was never fetched.
    """

    known: KnownRecord
    landing: Landing
    write: CaseWrite | None = None
    meaning: Meaning | None = None
    is_rechecked: bool = False

    @property
    def is_new_or_changed(self) -> bool:
        """Whether the record is new, or differs from the landed one."""
        return self.landing.digest != self.known.digest


_RESULTS = {EventKind.CREATED: "created", EventKind.RESTORED: "restored"}


def _result(appointment: PimsAppointment, decision: _Decision | None) -> str:
    """What the record counts as; without a decision, the store knows something newer."""
    if decision is not None and decision.write is not None:
        return _RESULTS.get(decision.write.kind, "updated")
    return "unchanged" if appointment.kind is RecordKind.APPOINTMENT else "blocked"


def _results_of_quarantined(snapshot: Snapshot) -> Iterator[tuple[date, str]]:
    for record in snapshot.quarantined:
        day = record.business_date
        # A date that was misread must not move the count out of the window.
        counted_on = day if day and day in snapshot.window else snapshot.window.start
        yield counted_on, "quarantined"


def _unknown_statuses(decided: Iterable[_Decision], words: Words) -> tuple[str, ...]:
    """The statuses of appointments that the clinic's words do not name, sorted."""
    appointments = (each.landing.appointment for each in decided)
    return tuple(
        sorted(
            {
                each.status
                for each in appointments
                if each.kind is RecordKind.APPOINTMENT and words.status_of(each.status) is None
            }
        )
    )


def _landing(appointment: PimsAppointment, words: Words) -> Landing:
    payload = canonical_json(appointment_payload(appointment))
    meaning = None
    if appointment.kind is RecordKind.APPOINTMENT:
        meaning = words.meaning_of(appointment.status, appointment.appointment_type)
    return Landing(
        appointment=appointment, payload=payload, digest=digest(payload), meaning=meaning
    )


def _missing(existing: Mapping[str, KnownRecord], snapshot: Snapshot) -> list[str]:
    """Landed identities whose absence from the listing proves that they left the window."""
    if not snapshot.complete or snapshot.hides_identities:
        return []
    present = {appointment.appointment_id for appointment in snapshot.appointments}
    # An unreadable record of a series may be any of its occurrences.
    unreadable = {record.pims_id for record in snapshot.quarantined if record.pims_id}
    return sorted(
        known.pims_id
        for known in existing.values()
        if known.pims_id not in present
        and known.vendor_identity not in unreadable
        and known.digest is not None
        and known.business_date in snapshot.window
        and known.missing_since is None
        and known.removed_at is None
        and not known.is_newer_than(snapshot.fetched_at)
    )


def _decide(known: KnownRecord, landing: Landing, clinic: Clinic, words: Words) -> _Decision:
    case, meaning = known.case, landing.meaning
    if meaning is None:
        return _Decision(known, landing)
    if case is None:
        case_id = case_id_of(clinic.id, clinic.provider_type, known.pims_id)
        return _Decision(known, landing, _creation(case_id, landing, words))
    before = _meaning_before(known, landing, words)
    is_changed = landing.digest != known.digest
    parties = _party_change(known, case, landing.appointment) if is_changed else PartyChange()
    is_mismatch = case.consultation is not None and contradicts(
        case.consultation.patient, landing.appointment.patient
    )
    if not (is_changed or case.soft_deleted or case.damage or is_mismatch or meaning != before):
        return _Decision(known, landing)
    draft = draft_of(landing.appointment, words)
    if not (is_changed or case.soft_deleted):
        # The vendor changed nothing, so people's corrections stay.
        draft = _draft_of_case(case, draft)
    has_new_status = case.soft_deleted or meaning.status is not before.status
    has_new_type = meaning.case_type is not before.case_type
    wanted = replace(
        draft,
        patient_species=draft.patient_species
        or _species_to_keep(case, parties, is_mismatch=is_mismatch),
        status=meaning.status if has_new_status else case.status,
        case_type=meaning.case_type if has_new_type else case.case_type,
    )
    write = _update(
        case,
        landing,
        wanted,
        status=wanted.status if has_new_status else None,
        case_type=wanted.case_type if has_new_type else None,
        detaches=case.consultation is not None and (is_mismatch or parties.changed),
    )
    return _Decision(
        known,
        landing,
        write,
        meaning=meaning if not is_changed and meaning != before else None,
        is_rechecked=parties.changed or (write is not None and write.drops_consultation),
    )


def _update(case: Case, landing: Landing, wanted: CaseDraft, **how: Any) -> CaseWrite | None:
    """The write that updates the case to ``wanted``; None when nothing differs."""
    write = CaseWrite(
        case_id=case.id,
        pims_id=case.pims_id,
        kind=EventKind.RESTORED if case.soft_deleted else EventKind.UPDATED,
        before=case,
        draft=wanted,
        digest=landing.digest,
        **how,
    )
    changes = write.changes
    if not changes:
        return None
    return write if case.soft_deleted else replace(write, kind=kind_of(changes))


def _meaning_before(known: KnownRecord, landing: Landing, words: Words) -> Meaning:
    """The meaning of the record's words when the case last followed them.

    For a record that was landed before meanings were stored, ``FIRST_WORDS`` decide. For a case
    whose record is not landed (any more), the present meaning of its words counts.
    """
    if known.meaning is not None:
        return known.meaning
    if landing.digest == known.digest:
        vendor_words = landing.appointment.status, landing.appointment.appointment_type
    else:
        facts = known.case.facts if known.case else {}
        vendor_words = facts.get("status") or "", facts.get("type")
    return (words if known.digest is None else FIRST_WORDS).meaning_of(*vendor_words)


def _party_change(known: KnownRecord, case: Case, landed: PimsAppointment) -> PartyChange:
    return PartyChange.between(
        known.patient or Patient(name=case.patient_name),
        known.client or Client(name=case.client_name),
        landed,
    )


def _species_to_keep(case: Case, parties: PartyChange, *, is_mismatch: bool) -> str | None:
    """The case's species, unless it belongs to another patient."""
    named = case.consultation.patient if case.consultation else None
    is_from_consultation = named is not None and named.species == case.patient_species
    if parties.may_be_another_patient or (is_mismatch and is_from_consultation):
        return None
    return case.patient_species


def _draft_of_case(case: Case, draft: CaseDraft) -> CaseDraft:
    """The case's present fields, with the vendor's own words of ``draft``."""
    return CaseDraft(
        patient_name=case.patient_name,
        patient_species=None,
        client_name=case.client_name,
        client_phone=case.client_phone,
        scheduled_date=case.scheduled_date,
        scheduled_start=case.scheduled_start,
        scheduled_end=case.scheduled_end,
        status=case.status,
        case_type=case.case_type,
        facts=draft.facts,
    )


def status_of_facts(facts: Mapping[str, str | None]) -> CaseStatus:
    """The case status for the vendor's words on a case; an unknown word means a draft."""
    return status_of(facts.get("status")) or CaseStatus.DRAFT


def _creation(case_id: UUID, landing: Landing, words: Words) -> CaseWrite:
    draft = draft_of(landing.appointment, words)
    return CaseWrite(
        case_id=case_id,
        pims_id=landing.appointment.appointment_id,
        kind=EventKind.CREATED,
        before=None,
        draft=draft,
        digest=landing.digest,
        status=draft.status,
        case_type=draft.case_type,
    )
