"""Phase 1: what a listing of the diary changes in the landed records and the cases.

Pure. Reading the diary and the store, and writing what is planned here, is done by
``pims_pipeline.sync.inbound``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.appointments import (
    Client,
    Patient,
    PimsAppointment,
    RecordKind,
    Snapshot,
    appointment_payload,
)
from pims_pipeline.domain.canonical import canonical_json, digest
from pims_pipeline.domain.case_writes import CaseWrite, kind_of
from pims_pipeline.domain.cases import (
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
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.moments import believed
from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.patients import contradicts, is_another


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the store knows of one vendor identity before the listing is applied.

    Attributes:
        series_id: The vendor's identity, where it gave one to several appointments.
        digest: Of the landed payload; None when the visit was never landed.
        last_seen_at: When the latest listing that held it was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found to have it no more.
        case: The case it became, soft-deleted or not.
        patient: As landed; None when it was never landed, or not as an appointment.
        client: The same.
        meaning: What its words were last taken to mean; None when that was not remembered.
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
        """The identity by which the vendor knows it, alone or with others of its series."""
        return self.series_id or self.pims_id

    @property
    def starts_at(self) -> datetime | None:
        """When it begins, as landed or as its case says; aware UTC."""
        if self.scheduled_start is not None or self.case is None:
            return self.scheduled_start
        return self.case.scheduled_start

    @property
    def is_absent(self) -> bool:
        """Whether a listing or a look-up has found it to be gone from its date."""
        return self.missing_since is not None or self.removed_at is not None

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether something is known of it that a listing fetched at ``moment`` cannot know."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        return any(known is not None and known > moment for known in moments)

    def as_of(self, now: datetime) -> "KnownRecord":
        """The record without the moments that lie after ``now`` (aware): they tell nothing."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (believed(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A vendor record to be stored as it was fetched; ``payload`` is canonical JSON.

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
        landings: Records that are new or say something new.
        sightings: Identities the listing holds, so that later decisions know they were seen.
        missing: Landed identities of the window that a complete listing does not hold.
        meanings: What the words of records that are not landed anew have come to mean.
        recheck: Identities whose consultation is to be asked for as if it never was.
        by_date: What became of every record found, by business date.
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
        """Whether applying it changes nothing but the times at which records were seen."""
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

    A record that the store knows something newer of is left alone. A record whose digest
    is unchanged causes no write, but for three: its words have come to mean something else,
    the case carries another patient's consultation, or its metadata cannot be read. Status
    and type of a case are written only when what the vendor's words mean has changed, so
    that people's own choices stand until then.

    Args:
        existing: By vendor identity: everything in the listing that is known, and every
            landed record of the window.
        snapshot: The listing.
        clinic: Whose listing it is; new cases get their identities from it.
        now: The present moment (aware), not before the listing came. What is known of a moment
            after it was written by a wrong clock and is left out of account; None believes all.
        words: What the clinic's words mean.
    """
    if now is not None:
        existing = {pims_id: known.as_of(now) for pims_id, known in existing.items()}
    fates: list[tuple[date, str]] = []
    decided: list[_Decision] = []
    for appointment in snapshot.appointments:
        known = existing.get(appointment.appointment_id) or KnownRecord(
            pims_id=appointment.appointment_id
        )
        decision = None
        if not known.is_newer_than(snapshot.fetched_at):
            decision = _decide(known, _landing(appointment, words), clinic, words)
            decided.append(decision)
        fates.append((appointment.business_date, _fate(appointment, decision)))
    return InboundPlan(
        landings=tuple(each.landing for each in decided if each.is_news),
        sightings=tuple(each.known.pims_id for each in decided),
        missing=tuple(_missing(existing, snapshot)),
        case_writes=tuple(each.write for each in decided if each.write is not None),
        meanings={each.known.pims_id: each.meaning for each in decided if each.meaning},
        recheck=tuple(each.known.pims_id for each in decided if each.is_rechecked),
        by_date=tally([*fates, *_fates_of_quarantined(snapshot)]),
        unknown_statuses=_unknown_statuses(decided, words),
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    """What one record leads to.

    Attributes:
        meaning: To be remembered although the record is not landed anew.
        is_rechecked: Whether its consultation is to be asked for as if it never was.
    """

    known: KnownRecord
    landing: Landing
    write: CaseWrite | None = None
    meaning: Meaning | None = None
    is_rechecked: bool = False

    @property
    def is_news(self) -> bool:
        """Whether the record is new, or says something new."""
        return self.landing.digest != self.known.digest


_FATES = {EventKind.CREATED: "created", EventKind.RESTORED: "restored"}


def _fate(appointment: PimsAppointment, decision: _Decision | None) -> str:
    """What the record counts as; without a decision, the store knows something newer."""
    if decision is not None and decision.write is not None:
        return _FATES.get(decision.write.kind, "updated")
    return "unchanged" if appointment.kind is RecordKind.APPOINTMENT else "blocked"


def _fates_of_quarantined(snapshot: Snapshot) -> Iterator[tuple[date, str]]:
    for record in snapshot.quarantined:
        day = record.business_date
        # A date that was misread must not carry the count out of the window.
        seen_on = day if day and day in snapshot.window else snapshot.window.start
        yield seen_on, "quarantined"


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
    """Landed identities whose absence from the listing says that they left the window."""
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
    taken_for = _taken_for(known, landing, words)
    is_news = landing.digest != known.digest
    other = _Turn.of(known, case, landing.appointment) if is_news else _Turn()
    strange = case.consultation is not None and contradicts(
        case.consultation.patient, landing.appointment.patient
    )
    if not (is_news or case.soft_deleted or case.damage or strange or meaning != taken_for):
        return _Decision(known, landing)
    draft = draft_of(landing.appointment, words)
    if not (is_news or case.soft_deleted):
        # The vendor says nothing new: what people have corrected stands.
        draft = _draft_as_it_is(case, draft)
    says_new_status = case.soft_deleted or meaning.status is not taken_for.status
    says_new_type = meaning.case_type is not taken_for.case_type
    wanted = replace(
        draft,
        patient_species=draft.patient_species or _species_that_stays(case, other, strange=strange),
        status=meaning.status if says_new_status else case.status,
        case_type=meaning.case_type if says_new_type else case.case_type,
    )
    write = _update(
        case,
        landing,
        wanted,
        status=wanted.status if says_new_status else None,
        case_type=wanted.case_type if says_new_type else None,
        detaches=case.consultation is not None and (strange or other.anybody),
    )
    return _Decision(
        known,
        landing,
        write,
        meaning=meaning if not is_news and meaning != taken_for else None,
        is_rechecked=other.anybody or (write is not None and write.drops_consultation),
    )


def _update(case: Case, landing: Landing, wanted: CaseDraft, **how: Any) -> CaseWrite | None:
    """The write that brings the case in line; None when it is."""
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


def _taken_for(known: KnownRecord, landing: Landing, words: Words) -> Meaning:
    """What the words of the record were taken for when the case last followed them.

    Of a record that was landed before that was remembered, the words of that time tell; of a
    case whose record is not landed (any more), what its words mean now.
    """
    if known.meaning is not None:
        return known.meaning
    if landing.digest == known.digest:
        said = landing.appointment.status, landing.appointment.appointment_type
    else:
        facts = known.case.facts if known.case else {}
        said = facts.get("status") or "", facts.get("type")
    return (words if known.digest is None else FIRST_WORDS).meaning_of(*said)


@dataclass(frozen=True, slots=True)
class _Turn:
    """Who else a landed record speaks of than the one before it.

    Attributes:
        anybody: Whether it is another patient or another client.
        patient: Whether it may be another patient.
    """

    anybody: bool = False
    patient: bool = False

    @classmethod
    def of(cls, known: KnownRecord, case: Case, now: PimsAppointment) -> "_Turn":
        before = known.patient or Patient(name=case.patient_name)
        owner = known.client or Client(name=case.client_name)
        if is_another(before, now.patient):
            return cls(anybody=True, patient=True)
        if is_another(owner, now.client):
            # Of a patient without an id the name is all we know, and names are shared.
            return cls(anybody=True, patient=not (before.id and before.id == now.patient.id))
        return cls()


def _species_that_stays(case: Case, other: _Turn, *, strange: bool) -> str | None:
    """The case's species, unless it is another patient's."""
    named = case.consultation.patient if case.consultation else None
    came_with_it = named is not None and named.species == case.patient_species
    return None if other.patient or (strange and came_with_it) else case.patient_species


def _draft_as_it_is(case: Case, draft: CaseDraft) -> CaseDraft:
    """What the case says, with the vendor's own words of ``draft``."""
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
    """What the vendor's words kept on a case mean; an unknown word means a draft."""
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
