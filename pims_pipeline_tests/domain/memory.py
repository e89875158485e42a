"""A store in memory that applies the three plans by the rules the SQL store follows.

It decides nothing: what changes is in the plans. It holds one clinic's landed records and
cases, so that tests can plan again over what was just applied.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.planning.case_writes import CaseWrite
from pims_pipeline.domain.planning.enrichment import ConsultationPlan, EnrichableCase
from pims_pipeline.domain.planning.inbound import InboundPlan, plan_inbound
from pims_pipeline.domain.planning.landed_records import KnownRecord, Landing
from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    ReconciliationPlan,
    plan_reconciliation,
)
from pims_pipeline.domain.planning.retirement import TrackedCase
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Patient,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import AttachedConsultation, Case, case_id_of
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus, CaseType, Meaning, Words
from pims_pipeline_tests.domain.strategies import CLINIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A row of ``pims_appointments``."""

    appointment: PimsAppointment
    digest: str
    fetched_at: datetime
    last_seen_at: datetime
    missing_since: datetime | None = None
    removed_at: datetime | None = None
    checked_at: datetime | None = None
    meaning: Meaning | None = None
    followed_digest: str | None = None


@dataclass
class MemoryStore:
    """One clinic's landed records and cases, by vendor identity.

    Attributes:
        words: What the clinic's words mean; tests may replace it.
    """

    landed: dict[str, Landed] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    consultations: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    words: Words = DEFAULT_WORDS

    @staticmethod
    def identify(pims_id: str) -> UUID:
        """The case identity for an appointment."""
        return case_id_of(CLINIC.id, CLINIC.provider_type, pims_id)

    def known(self, snapshot: Snapshot) -> dict[str, KnownRecord]:
        """The records that ``plan_inbound`` needs for this listing."""
        listed = {each.appointment_id for each in snapshot.appointments}
        wanted = {
            pims_id
            for pims_id in {*self.landed, *self.cases}
            if pims_id in listed
            or (
                pims_id in self.landed
                and self.landed[pims_id].appointment.business_date in snapshot.window
            )
        }
        return {pims_id: self.record(pims_id) for pims_id in wanted}

    def record(self, pims_id: str) -> KnownRecord:
        """What is known of one appointment."""
        case = self._case(pims_id)
        row = self.landed.get(pims_id)
        if row is None:
            return KnownRecord(pims_id=pims_id, case=case)
        is_appointment = (
            row.appointment.kind is RecordKind.APPOINTMENT and row.followed_digest is None
        )
        return KnownRecord(
            pims_id=pims_id,
            series_id=row.appointment.series_id,
            patient=row.appointment.patient if is_appointment else None,
            client=row.appointment.client if is_appointment else None,
            meaning=row.meaning,
            business_date=row.appointment.business_date,
            scheduled_start=row.appointment.scheduled_start,
            digest=row.digest,
            last_seen_at=row.last_seen_at,
            missing_since=row.missing_since,
            removed_at=row.removed_at,
            case=case,
            resources=row.appointment.resources,
            left_out=row.appointment.left_out,
            followed_digest=row.followed_digest,
        )

    def _case(self, pims_id: str) -> Case | None:
        case = self.cases.get(pims_id)
        content = self.consultations.get(case.id) if case else None
        if case is None or content is None:
            return case
        named = content["patient"]
        attached = AttachedConsultation(
            patient=Patient(**named) if named else None, content=content
        )
        return replace(case, consultation=attached)

    def plan(self, snapshot: Snapshot) -> InboundPlan:
        """What the listing would change now."""
        return plan_inbound(self.known(snapshot), snapshot, clinic=CLINIC, words=self.words)

    def receive(self, snapshot: Snapshot) -> InboundPlan:
        """Plan and apply a listing."""
        plan = self.plan(snapshot)
        self.apply_inbound(plan, snapshot.fetched_at)
        return plan

    def apply_inbound(self, plan: InboundPlan, fetched_at: datetime) -> None:
        """Write what a listing changes."""
        for landing in plan.landings:
            self._land(landing, fetched_at)
        for pims_id in plan.sightings:
            row = self.landed[pims_id]
            self.landed[pims_id] = replace(
                row,
                last_seen_at=max(row.last_seen_at, fetched_at),
                missing_since=None,
                removed_at=None,
            )
        for pims_id in plan.missing:
            self.landed[pims_id] = replace(self.landed[pims_id], missing_since=fetched_at)
        for pims_id, meaning in plan.meanings.items():
            self.landed[pims_id] = replace(self.landed[pims_id], meaning=meaning)
        for landing in plan.placements:
            self._place(landing)
        for pims_id in plan.recheck:
            self.landed[pims_id] = replace(self.landed[pims_id], checked_at=None)
        for write in plan.case_writes:
            self._upsert(write)

    def _land(self, landing: Landing, fetched_at: datetime) -> None:
        pims_id = landing.appointment.appointment_id
        row = self.landed.get(pims_id)
        fresh = Landed(
            appointment=landing.appointment,
            digest=landing.digest,
            fetched_at=fetched_at,
            last_seen_at=fetched_at,
        )
        self.landed[pims_id] = replace(
            fresh,
            last_seen_at=max(row.last_seen_at, fetched_at) if row else fetched_at,
            checked_at=row.checked_at if row else None,
            meaning=landing.meaning or (row.meaning if row else None),
            followed_digest=self._followed(row) if landing.appointment.left_out else None,
        )

    @staticmethod
    def _followed(row: Landed | None) -> str:
        if row is None:
            return ""
        return row.digest if row.followed_digest is None else row.followed_digest

    def _place(self, landing: Landing) -> None:
        placed = landing.appointment
        row = self.landed[placed.appointment_id]
        self.landed[placed.appointment_id] = replace(
            row,
            appointment=replace(
                row.appointment, resources=placed.resources, left_out=placed.left_out
            ),
            followed_digest=row.followed_digest if placed.left_out else None,
        )

    def _upsert(self, write: CaseWrite) -> None:
        draft, before = write.draft, self.cases.get(write.pims_id)
        status, case_type = write.status, write.case_type
        if write.drops_consultation:
            self.consultations.pop(write.case_id, None)
        self.cases[write.pims_id] = Case(
            id=write.case_id,
            pims_id=write.pims_id,
            patient_name=draft.patient_name,
            patient_species=draft.patient_species,
            client_name=draft.client_name,
            client_phone=draft.client_phone,
            scheduled_date=draft.scheduled_date,
            scheduled_start=draft.scheduled_start,
            scheduled_end=draft.scheduled_end,
            status=before.status if before and status is None else CaseStatus(status or ""),
            case_type=before.case_type
            if before and case_type is None
            else CaseType(case_type or ""),
            facts=dict(draft.facts),
            soft_deleted=False,
            damage={},
        )

    def edit(self, pims_id: str, **changes: Any) -> None:
        """Change a case as users do in the application."""
        self.cases[pims_id] = replace(self.cases[pims_id], **changes)

    def tracked(self, window: DateRange) -> tuple[TrackedCase, ...]:
        """The window's active cases."""
        rows = self.landed
        return tuple(
            TrackedCase(
                case=case,
                appointment=rows[pims_id].appointment if pims_id in rows else None,
                last_seen_at=rows[pims_id].last_seen_at if pims_id in rows else None,
                missing_since=rows[pims_id].missing_since if pims_id in rows else None,
                removed_at=rows[pims_id].removed_at if pims_id in rows else None,
            )
            for pims_id, case in sorted(self.cases.items())
            if not case.soft_deleted and case.scheduled_date in window
        )

    def plan_reconciliation(
        self,
        snapshot: Snapshot,
        policy: DeletionPolicy,
        lookups: Mapping[str, AppointmentLookup] | None,
    ) -> ReconciliationPlan:
        """What reconciliation with the listing would change now."""
        return plan_reconciliation(self.tracked(snapshot.window), snapshot, policy, lookups=lookups)

    def apply_reconciliation(
        self, plan: ReconciliationPlan, window: DateRange, asked_at: datetime
    ) -> None:
        """Retire cases, and follow appointments as they were found at ``asked_at``."""
        for retirement in plan.retire:
            pims_id = retirement.case.pims_id
            self.edit(pims_id, status=CaseStatus.REVIEWED, soft_deleted=True)
            row = self.landed[pims_id]
            if retirement.is_left_out:
                placed = replace(row.appointment, left_out=True)
                self.landed[pims_id] = replace(row, appointment=placed)
            else:
                self.landed[pims_id] = replace(row, removed_at=retirement.gone_at)
        if plan.follow:
            self.receive(
                Snapshot(window=window, appointments=plan.follow, fetched_at=asked_at, proof=None)
            )

    def enrichable(self) -> dict[UUID, EnrichableCase]:
        """Every live case with what is known of its consultation."""
        return {
            case.id: EnrichableCase(
                case_id=case.id,
                appointment=self.landed[pims_id].appointment,
                landed_at=self.landed[pims_id].fetched_at,
                checked_at=self.landed[pims_id].checked_at,
                consultation=self.consultations.get(case.id),
                patient_species=case.patient_species,
            )
            for pims_id, case in self.cases.items()
            if not case.soft_deleted and not self.landed[pims_id].appointment.left_out
        }

    def apply_consultations(self, plan: ConsultationPlan) -> None:
        """Write what fetched consultations change."""
        by_id = {case.id: pims_id for pims_id, case in self.cases.items()}
        for case_id, asked_at in plan.checked.items():
            pims_id = by_id[case_id]
            self.landed[pims_id] = replace(self.landed[pims_id], checked_at=asked_at)
        for write in plan.writes:
            self.consultations[write.case.case_id] = write.metadata
            if write.patient_species is not None:
                self.edit(by_id[write.case.case_id], patient_species=write.patient_species)


def store_after(snapshots: Iterable[Snapshot]) -> MemoryStore:
    """A store that has received the listings, in the order given."""
    store = MemoryStore()
    for snapshot in snapshots:
        store.receive(snapshot)
    return store
