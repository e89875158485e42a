"""What one record of a listing changes: whether it is landed again, and the write of its case.

Pure. What a whole listing changes belongs in ``inbound``; the changes that a write records in
``case_writes``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.planning.case_writes import CaseWrite, kind_of
from pims_pipeline.domain.planning.landed_records import KnownRecord, Landing
from pims_pipeline.domain.planning.patients import PartyChange, contradicts
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    appointment_json,
)
from pims_pipeline.domain.records.canonical import digest
from pims_pipeline.domain.records.cases import (
    Case,
    CaseDraft,
    EventKind,
    case_id_of,
    draft_of,
    meaning_of,
)
from pims_pipeline.domain.records.words import FIRST_WORDS, CaseStatus, Meaning, Words, status_of


@dataclass(frozen=True, slots=True)
class InboundDecision:
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

    @property
    def has_new_placement(self) -> bool:
        """Whether an unchanged record has other resources than landed, or is left out or not."""
        known, listed = self.known, self.landing.appointment
        differs = (known.resources, known.left_out) != (listed.resources, listed.left_out)
        return differs and not self.is_new_or_changed


def landing_of(appointment: PimsAppointment, words: Words) -> Landing:
    """The record as it is to be stored, with what its words mean."""
    payload = appointment_json(appointment)
    meaning = None
    if appointment.makes_case:
        meaning = meaning_of(appointment, words)
    return Landing(
        appointment=appointment, payload=payload, digest=digest(payload), meaning=meaning
    )


def decide(known: KnownRecord, landing: Landing, clinic: Clinic, words: Words) -> InboundDecision:
    """Decide what one record changes; ``plan_inbound`` gives the rules."""
    case, meaning = known.case, landing.meaning
    if meaning is None:
        return InboundDecision(known, landing)
    if case is None:
        case_id = case_id_of(clinic.id, clinic.provider_type, known.pims_id)
        return InboundDecision(
            known,
            landing,
            _creation(case_id, landing, words),
            meaning=_unstored(meaning, known.meaning, landing, known),
        )
    before = _meaning_before(known, landing, words)
    is_changed = landing.digest != known.case_digest
    parties = _party_change(known, case, landing.appointment) if is_changed else PartyChange()
    is_mismatch = case.consultation is not None and contradicts(
        case.consultation.patient, landing.appointment.patient
    )
    if not (is_changed or case.soft_deleted or case.damage or is_mismatch or meaning != before):
        return InboundDecision(known, landing)
    draft = draft_of(landing.appointment, words)
    if not (is_changed or case.soft_deleted):
        # The vendor changed nothing, so users' corrections stay.
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
    return InboundDecision(
        known,
        landing,
        write,
        meaning=_unstored(meaning, before, landing, known),
        is_rechecked=parties.changed or (write is not None and write.drops_consultation),
    )


def _unstored(
    meaning: Meaning, before: Meaning | None, landing: Landing, known: KnownRecord
) -> Meaning | None:
    """The meaning, if it is new and not stored with a landing."""
    return meaning if landing.digest == known.digest and meaning != before else None


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
    whose record is not landed (any more), the present meaning of its words counts. If it has no
    words either, as an imported case may, nothing shows that the meaning changed.
    """
    if known.meaning is not None:
        return known.meaning
    appointment = landing.appointment
    if landing.digest == known.case_digest:
        return meaning_of(appointment, words if known.digest is None else FIRST_WORDS)
    facts = known.case.facts if known.case else {}
    if known.digest is None and not facts:
        return landing.meaning or words.meaning_of(None, None)
    vendor_words = facts.get("status") or "", facts.get("type")
    if known.digest is not None:
        return FIRST_WORDS.meaning_of(*vendor_words)
    # A case has the words alone, so what the vendor states counts as stated before.
    before = words.meaning_of(*vendor_words)
    return replace(before, case_type=appointment.stated_type or before.case_type)


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
